import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import { hasDeviceKernel, runDeviceKernel } from '../kernels.js';

/** Whole rows of a matrix in codes of 2, 4 or 8 bits, each `group` of a row's columns under a scale and a zero point of its own. */
export interface GroupedCodes {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 2 | 4 | 8;
  readonly group: number;
  /** The codes of each row, the lowest bits first; rows are whole words of 32 bits (`canUnpackGroups`). */
  readonly codes: Uint8Array;
  /** [rows, ⌈columns / group⌉], both. */
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

/** Whether the open device unpacks codes of such rows. */
export function canUnpackGroups({ columns, bits }: { readonly columns: number; readonly bits: number }): boolean {
  return (
    (bits === 2 || bits === 4 || bits === 8) && (columns * bits) % 32 === 0 && hasDeviceKernel('birdbone.UnpackGroups')
  );
}

/**
 * What codes stand for, (code − zero) · scale rounded once, as a tensor [rows, columns] on the device: they travel in `bits` bits. The
 * caller disposes it.
 */
export function unpackGroups(device: Device, { rows, columns, bits, group, ...parts }: GroupedCodes): Tensor2D {
  const { buffer, byteOffset, byteLength } =
    parts.codes.byteOffset % 4 === 0 ? parts.codes : new Uint8Array(parts.codes);
  const perRow = Math.ceil(columns / group);
  const inputs = {
    words: device.upload(new Int32Array(buffer, byteOffset, byteLength / 4), [rows, (columns * bits) / 32]),
    scales: device.upload(parts.scales, [rows, perRow]),
    zeros: device.upload(parts.zeros, [rows, perRow]),
  };
  try {
    return runDeviceKernel<Tensor2D>('birdbone.UnpackGroups', inputs, { bits, group, columns });
  } finally {
    dispose(Object.values(inputs));
  }
}
