import { BirdboneError } from '../errors.js';

/** The importance of one matrix's weights, row-major, finite and ≥ 0. */
export interface MatrixScores {
  /** The tensor, for error messages. */
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  /** Which row of the tensor the first of these is, for error messages; 0 unless given. */
  readonly firstRow?: number;
}

/** The pattern of the smallest single-precision number that is not finite (+∞). */
const INFINITY_BITS = 0x7f800000;
const NEGATIVE_ZERO_BITS = -0x80000000;

/**
 * Integers in the order of the scores: the bit patterns of single-precision numbers ≥ 0 rank as the numbers do, so that
 * selection compares and counts integers only. −0 ranks as 0.
 *
 * Throws `unsupported`, naming the matrix and the weight, for a score that is not finite or below 0: it has no rank.
 */
export function rankKeys(scores: MatrixScores): Int32Array {
  const { rows, columns, values } = scores;
  if (values.length !== rows * columns) {
    throw new Error(`${scores.name}: ${values.length} scores for ${rows} × ${columns} weights`);
  }
  const keys = new Int32Array(values.length);
  keys.set(new Int32Array(values.buffer, values.byteOffset, values.length));
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key < 0 || key >= INFINITY_BITS) {
      if (key !== NEGATIVE_ZERO_BITS) refuse(scores, i);
      keys[i] = 0;
    }
  }
  return keys;
}

function refuse({ name, columns, values, firstRow = 0 }: MatrixScores, index: number): never {
  const at = `${name}[${firstRow + Math.floor(index / columns)}, ${index % columns}]`;
  throw new BirdboneError(
    'unsupported',
    `The score of ${at} is ${values[index]}: it has no rank. Scores are finite numbers from 0.`,
    {
      tensor: name,
      suggestions: [
        'Score by the weights alone, --metric magnitude: if that fails too, the weights themselves are damaged.',
        'Compare the checkpoint with its published checksums.',
      ],
    },
  );
}
