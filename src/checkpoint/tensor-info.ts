import { DTYPES, isBlockDtype } from '../tensor/index.js';
import type { TensorInfo } from './checkpoint.js';

/** The number of elements of a shape; 1 for a scalar, whose shape is empty. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * The fewest bytes that hold a whole number of elements: 1 for two F4 elements, 3 for four F6 elements, a block of a block
 * type, the size of one element elsewhere. Chunks that are multiples of it never split an element.
 */
export function unitBytesOf({ dtype }: Pick<TensorInfo, 'dtype'>): number {
  if (isBlockDtype(dtype)) return DTYPES[dtype].blockBytes;
  const { bits } = DTYPES[dtype];
  if (bits >= 8) return bits / 8;
  return bits === 6 ? 3 : 1;
}

/** Sorts names by code point, the order of UTF-8 bytes, which `<` on strings is not beyond U+FFFF. Sorts in place. */
export function sortNames(names: string[]): string[] {
  if (!names.some((name) => /[\ud800-\udfff]/.test(name))) return names.sort();
  return names.sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}
