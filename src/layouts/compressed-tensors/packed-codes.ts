import type { Checkpoint } from '../../checkpoint/index.js';
import { packRows, rowBytesOf, unpackRows } from '../../quantization/index.js';

/** Rows of packed codes as they are stored. */
export interface PackedWeight {
  readonly source: Checkpoint;
  readonly tensor: string;
  readonly rows: number;
  readonly columns: number;
  /** Words in a row. */
  readonly words: number;
  readonly bits: number;
}

/**
 * What gives the native rows of codes from packed ones; undefined when rows of that many words hold no such codes. Codes are dense, as
 * the format has them, or none reaches over the end of a word, as compressed-tensors packed them before it had bits that do not divide
 * 32 (⌊32 / bits⌋ codes to a word). Where both fill as many words they are taken for dense.
 */
export function packedCodes(weight: PackedWeight): ((first: number, count: number) => Promise<Uint8Array>) | undefined {
  const { columns, words, bits } = weight;
  if (words === Math.ceil((columns * bits) / 32)) return (first, count) => denseRows(weight, first, count);
  const codesPerWord = Math.floor(32 / bits);
  if (words === Math.ceil(columns / codesPerWord)) {
    return (first, count) => paddedWords(weight, codesPerWord, first, count);
  }
  return undefined;
}

async function denseRows(weight: PackedWeight, first: number, count: number): Promise<Uint8Array> {
  const { columns, words, bits } = weight;
  return withoutEnds(await readWords(weight, first, count), words * 4, rowBytesOf(columns, bits));
}

async function paddedWords(
  weight: PackedWeight,
  codesPerWord: number,
  first: number,
  count: number,
): Promise<Uint8Array> {
  const { columns, words, bits } = weight;
  const codes = unpackRows(await readWords(weight, first, count), count * words, codesPerWord, bits);
  return packRows(withoutEnds(codes, words * codesPerWord, columns), count, columns, bits);
}

function readWords({ source, tensor, words }: PackedWeight, first: number, count: number): Promise<Uint8Array> {
  return source.read(tensor, { offset: first * words * 4, length: count * words * 4 });
}

/** The first `width` bytes of each row. */
function withoutEnds(bytes: Uint8Array, stride: number, width: number): Uint8Array {
  if (stride === width) return bytes;
  const rows = bytes.length / stride;
  const result = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row += 1) {
    result.set(bytes.subarray(row * stride, row * stride + width), row * width);
  }
  return result;
}
