import type { Checkpoint, TensorInfo } from '../../checkpoint/index.js';

/** Bytes `[offset, offset + length)` of a tensor. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * How one tensor of a view is made of stored ones: its rows in another order, its two sides exchanged, several in one. Any range
 * can be read, also one that splits an element.
 *
 * @example reordered(joinedFromDealt({ heads: 4, headRows: 8 })).describe([stored]) // the stored tensor's type and shape
 */
export interface Derivation {
  /** What the tensor is, but for its name. */
  describe(stored: readonly TensorInfo[]): Omit<TensorInfo, 'name'>;
  /** Reads a range that lies inside the tensor. */
  read(range: ByteRange, stored: readonly TensorInfo[], source: Checkpoint): Promise<Uint8Array>;
}

/** The type, shape and size of a stored tensor that a derivation leaves as they are. */
export function same([stored]: readonly TensorInfo[]): Omit<TensorInfo, 'name'> {
  const { dtype, shape, byteLength } = stored!;
  return { dtype, shape, byteLength };
}
