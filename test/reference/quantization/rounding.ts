import type { Weight } from '../load.js';

/**
 * Round-to-nearest in float64 from compressed-tensors' definition (`calculate_qparams`, `quantize`): b-bit integers −2^(b−1) … 2^(b−1) − 1
 * under a scale of absmax / ((2^b − 1) / 2) for each group of columns of a row, rounded to a half-precision number. Shares nothing
 * with src/.
 */
export interface ReferenceScheme {
  readonly bits: number;
  /** Columns of a row that share a scale; the whole row unless given. */
  readonly group?: number;
}

/** A matrix in integers, and what they stand for. */
export interface Rounded {
  readonly codes: Int32Array;
  readonly values: Float64Array;
  /** [rows, groups]. */
  readonly scales: Float64Array;
}

/** The nearest whole number, of two the even one. */
export function halfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The nearest number that IEEE half precision holds. */
export function toHalf(x: number): number {
  if (x === 0) return 0;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(x))));
  const unit = 2 ** (exponent - 10);
  return halfEven(x / unit) * unit;
}

/** A scale of these weights. */
export function scaleOf(weights: ArrayLike<number>, bits: number): number {
  let largest = 0;
  for (let i = 0; i < weights.length; i++) largest = Math.max(largest, Math.abs(weights[i]!));
  return toHalf(largest / ((2 ** bits - 1) / 2)) || 2 ** -10;
}

export function codeOf(weight: number, scale: number, bits: number): number {
  const half = 2 ** (bits - 1);
  return Math.min(half - 1, Math.max(-half, halfEven(weight / scale)));
}

export function roundToNearest({ rows, columns, values }: Weight, { bits, group = columns }: ReferenceScheme): Rounded {
  const groups = Math.ceil(columns / group);
  const codes = new Int32Array(values.length);
  const scales = new Float64Array(rows * groups);
  for (let row = 0; row < rows; row++) {
    for (let g = 0; g < groups; g++) {
      const from = row * columns + g * group;
      const to = row * columns + Math.min(columns, (g + 1) * group);
      const scale = scaleOf(values.subarray(from, to), bits);
      scales[row * groups + g] = scale;
      for (let i = from; i < to; i++) codes[i] = codeOf(values[i]!, scale, bits);
    }
  }
  return { codes, scales, values: decoded(codes, scales, { columns, group }) };
}

export function decoded(
  codes: Int32Array,
  scales: Float64Array,
  { columns, group }: { readonly columns: number; readonly group: number },
): Float64Array {
  const groups = Math.ceil(columns / group);
  return Float64Array.from(
    codes,
    (code, i) => code * scales[Math.floor(i / columns) * groups + Math.floor((i % columns) / group)]!,
  );
}
