import { DTYPES } from '../../tensor/index.js';
import type { TensorInfo } from '../checkpoint.js';
import type { Complaints, TensorView } from './torch-values.js';

/** A tensor that was checked to lie within its storage. */
export interface PlacedTensor {
  readonly info: TensorInfo;
  /** Where its first element is, from the start of the storage's bytes. */
  readonly byteStart: number;
  readonly elementBytes: number;
  /** In elements, one for each dimension of the shape. */
  readonly strides: readonly number[];
  /** Of the storage in the file. */
  readonly key: string;
}

/**
 * The tensor of that name, once its last element, offset + Σ (size − 1) × stride, is known to lie within its storage. All of
 * it is computed exactly: products that wrap around have let tensors reach beyond their memory (CVE-2025-32434's kin).
 */
export function placeTensor(name: string, view: TensorView, { fail }: Pick<Complaints, 'fail'>): PlacedTensor {
  const { storage, dtype, shape, strides, offset } = view;
  if (strides.length !== shape.length) fail(`its shape [${shape}] and its strides [${strides}] differ in length`);
  const elementBytes = DTYPES[dtype].bits / 8;
  const byteLength = byteLengthOf(shape, elementBytes, fail);
  if (byteLength > 0) {
    const reach = shape.reduce((sum, size, i) => sum + (BigInt(size) - 1n) * BigInt(strides[i]!), BigInt(offset));
    const stored = Math.floor(storage.byteLength / elementBytes);
    if (reach >= BigInt(stored)) {
      fail(
        `its last element is number ${reach} of a storage that has ${stored} (offset ${offset}, strides [${strides}])`,
      );
    }
  }
  const byteStart = byteLength === 0 ? storage.byteStart : storage.byteStart + offset * elementBytes;
  return { info: { name, dtype, shape, byteLength }, byteStart, elementBytes, strides, key: storage.key };
}

function byteLengthOf(shape: readonly number[], elementBytes: number, fail: (problem: string) => never): number {
  let bytes = elementBytes;
  for (const size of shape) {
    bytes *= size;
    // Checked at each step: [2^32, 2^32, 0] overflows too. Products up to here are exact.
    if (bytes > Number.MAX_SAFE_INTEGER) fail(`shape [${shape}] has more elements than any file can hold`);
  }
  return bytes;
}

/** Whether its elements lie in the storage one after the other, as they are read. */
export function isContiguous({
  info: { shape, byteLength },
  strides,
}: Pick<PlacedTensor, 'info' | 'strides'>): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0 && byteLength > 0; i -= 1) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

/** The same for two names exactly when they are one tensor: the same elements of the same bytes in the same order. */
export function identityOf({ info: { dtype, shape }, key, byteStart, strides }: PlacedTensor): string {
  // What a stride of a single element would be is of no account.
  const steps = strides.map((stride, i) => (shape[i] === 1 ? 0 : stride));
  return `${byteStart} ${dtype} ${shape} ${steps} ${key}`;
}
