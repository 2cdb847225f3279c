import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import { hasDeviceKernel, runDeviceKernel } from '../kernels.js';

/** A row-major matrix on the host. */
interface HostValues {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** Codes of 2, 4 or 8 bits, offset binary, whose scale each `group` of a row's columns shares. */
export interface GroupPacking {
  readonly bits: 2 | 4 | 8;
  /** A multiple of the codes in 32 bits. */
  readonly group: number;
}

/** Codes packed densely by rows, each row filled up to whole words of 32 bits, and scales [rows, groups] in half precision. */
export interface PackedGroups {
  readonly words: Int32Array;
  readonly scales: Float32Array;
}

/** Whether the open device has kernels for the functions of this file. */
export function canPackOnDevice(): boolean {
  return hasDeviceKernel('birdbone.PackGroups');
}

/**
 * Rounds a matrix to nearest by groups and packs its codes on the device: bit for bit what quantization/ makes of it with symmetric
 * integers and half-precision scales. A scale is infinite where a value is not finite, or half precision too narrow.
 */
export async function packGroups(device: Device, matrix: HostValues, packing: GroupPacking): Promise<PackedGroups> {
  const values = device.upload(matrix.values, [matrix.rows, matrix.columns]);
  const made = runDeviceKernel<Tensor[]>('birdbone.PackGroups', { values }, { ...packing });
  try {
    const [words, scales] = [await device.read(made[0]!), await device.read(made[1]!)];
    return { words: words as Int32Array, scales: scales as Float32Array };
  } finally {
    dispose([values, ...made]);
  }
}

/** What packed codes stand for, as a tensor [rows, columns] on the device: they travel in `bits` bits. The caller disposes it. */
export function unpackGroups(
  device: Device,
  { words, scales }: PackedGroups,
  { rows, columns, ...packing }: GroupPacking & { readonly rows: number; readonly columns: number },
): Tensor {
  const inputs = {
    words: device.upload(words, [rows, words.length / rows]),
    scales: device.upload(scales, [rows, scales.length / rows]),
  };
  try {
    return runDeviceKernel('birdbone.UnpackGroups', inputs, { ...packing, columns });
  } finally {
    dispose(Object.values(inputs));
  }
}

/** The matrix in ggml's Q4_K, its columns a multiple of 256: the bytes of its blocks, row after row. */
export async function encodeQ4k(device: Device, matrix: HostValues): Promise<Uint8Array> {
  const values = device.upload(matrix.values, [matrix.rows, matrix.columns]);
  const words = runDeviceKernel<Tensor>('birdbone.EncodeQ4K', { values });
  try {
    const { buffer, byteOffset, byteLength } = (await device.read(words)) as Int32Array;
    return new Uint8Array(buffer, byteOffset, byteLength);
  } finally {
    dispose([values, words]);
  }
}
