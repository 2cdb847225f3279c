import { type BlockDtype, DTYPES, type Dtype, isBlockDtype } from './dtype.js';
import { dequantize } from './quantized/dequantize.js';

/** Blocks that are dequantized at a time: 4 MiB of values. */
const BLOCKS_AT_ONCE = 4096;

/**
 * How many elements of little-endian bytes are zero; a float's negative zero is one, and in a block type what dequantizes to
 * zero. Undefined for elements packed below a byte and for pairs (complex), which nothing here prunes.
 */
export function countZeros(bytes: Uint8Array, dtype: Dtype): number | undefined {
  if (isBlockDtype(dtype)) return countInBlocks(bytes, dtype);
  const { bits, kind } = DTYPES[dtype];
  if (bits < 8 || kind === 'complex') return undefined;
  // F8_E8M0 is a bare exponent: it has neither a sign nor a zero.
  if (dtype === 'F8_E8M0') return 0;
  const sign = kind === 'float' ? 1 : 0;
  // Views of whole elements need alignment, which a chunk of a file has only by chance.
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
  if (bits === 16) return countWords(new Uint16Array(buffer, byteOffset, byteLength / 2), 0xffff >>> sign);
  if (bits === 32) return countWords(new Uint32Array(buffer, byteOffset, byteLength / 4), 0xffff_ffff >>> sign);
  if (bits === 64) return countPairs(new Uint32Array(buffer, byteOffset, byteLength / 4), 0xffff_ffff >>> sign);
  return countWords(new Uint8Array(buffer, byteOffset, byteLength), 0xff >>> sign);
}

function countInBlocks(bytes: Uint8Array, dtype: BlockDtype): number {
  const step = BLOCKS_AT_ONCE * DTYPES[dtype].blockBytes;
  let zeros = 0;
  for (let offset = 0; offset < bytes.length; offset += step) {
    const values = dequantize(bytes.subarray(offset, offset + step), dtype);
    zeros += countWords(new Uint32Array(values.buffer), 0x7fff_ffff);
  }
  return zeros;
}

function countWords(words: Uint8Array | Uint16Array | Uint32Array, mask: number): number {
  let zeros = 0;
  for (let index = 0; index < words.length; index++) if ((words[index]! & mask) === 0) zeros++;
  return zeros;
}

/** 64-bit elements as pairs of words; `mask` leaves the sign out of the second one. */
function countPairs(words: Uint32Array, mask: number): number {
  let zeros = 0;
  for (let index = 0; index < words.length; index += 2) {
    if (words[index] === 0 && (words[index + 1]! & mask) === 0) zeros++;
  }
  return zeros;
}
