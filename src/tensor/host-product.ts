import { matMul, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Device } from './device.js';

/** A row-major matrix on the host. */
export interface HostMatrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/**
 * left · right, or left · rightᵀ with `transposeRight`, computed by the device and brought back to the host. All three
 * matrices must fit `device.maxTensorBytes`; nothing stays on the device.
 */
export async function multiplyOnDevice(
  left: HostMatrix,
  right: HostMatrix,
  device: Device,
  { transposeRight = false }: { readonly transposeRight?: boolean } = {},
): Promise<Float32Array> {
  const a = device.upload(left.values, [left.rows, left.columns]) as Tensor2D;
  const b = device.upload(right.values, [right.rows, right.columns]) as Tensor2D;
  let product: Tensor2D | undefined;
  try {
    product = matMul(a, b, false, transposeRight);
    return (await device.read(product)) as Float32Array;
  } finally {
    a.dispose();
    b.dispose();
    product?.dispose();
  }
}
