import type { Weight } from '../load.js';
import { codeOf, decoded, type ReferenceScheme, type Rounded, scaleOf } from './rounding.js';

/**
 * GPTQ in float64 as optimal brain quantization with a fixed order of columns (Frantar et al. 2022, equations 2 and 3, before the
 * Cholesky reformulation): quantize a column, move the others by its error · H⁻¹_q: / H⁻¹_qq, then eliminate it from H⁻¹ by one step
 * of Gaussian elimination. No blocks, no factorization; nothing is shared with src/.
 *
 * Scales of groups are those of the weights when their first column's turn comes, as the paper's grouping has it; with `actOrder`
 * columns go by falling diagonal of H and scales are those of the weights as they were.
 */
export function gptq(
  { rows, columns: n, values }: Weight,
  gram: Float64Array,
  { bits, group = n, actOrder = false }: ReferenceScheme & { readonly actOrder?: boolean },
): Rounded {
  const w = values.slice();
  const order = Array.from({ length: n }, (_, j) => j);
  if (actOrder) order.sort((a, b) => gram[b * n + b]! - gram[a * n + a]! || a - b);
  const inverse = invert(damped(gram, n), n);
  const groups = Math.ceil(n / group);
  const scales = new Float64Array(rows * groups);
  const codes = new Int32Array(w.length);
  const fitScales = (g: number) => {
    for (let row = 0; row < rows; row++) {
      const weights = w.subarray(row * n + g * group, row * n + Math.min(n, (g + 1) * group));
      scales[row * groups + g] = scaleOf(weights, bits);
    }
  };
  if (actOrder || group === n) for (let g = 0; g < groups; g++) fitScales(g);
  for (const q of order) {
    const g = Math.floor(q / group);
    if (!actOrder && group < n && q % group === 0) fitScales(g);
    const pivot = inverse[q * n + q]!;
    const step = inverse.slice(q * n, (q + 1) * n).map((value) => value / pivot);
    for (let row = 0; row < rows; row++) {
      const scale = scales[row * groups + g]!;
      const code = codeOf(w[row * n + q]!, scale, bits);
      codes[row * n + q] = code;
      const error = w[row * n + q]! - code * scale;
      for (let j = 0; j < n; j++) w[row * n + j]! -= error * step[j]!;
    }
    for (let i = 0; i < n; i++) {
      const factor = inverse[i * n + q]!;
      for (let j = 0; j < n; j++) inverse[i * n + j]! -= factor * step[j]!;
    }
    // What rounding leaves of an eliminated input must not move it again.
    for (let i = 0; i < n; i++) inverse[i * n + q] = inverse[q * n + i] = 0;
  }
  return { codes, scales, values: decoded(codes, scales, { columns: n, group }) };
}

/** G + 0.01 · mean(diag G) · I. */
function damped(gram: Float64Array, n: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i]!;
  const copy = gram.slice();
  for (let i = 0; i < n; i++) copy[i * n + i]! += (0.01 * trace) / n;
  return copy;
}

/** A⁻¹ by Gauss–Jordan elimination with the largest pivot of each column. */
function invert(matrix: Float64Array, n: number): Float64Array {
  const a = matrix.slice();
  const inverse = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column; row < n; row++) {
      if (Math.abs(a[row * n + column]!) > Math.abs(a[pivot * n + column]!)) pivot = row;
    }
    for (const side of [a, inverse]) {
      const kept = side.slice(column * n, (column + 1) * n);
      side.copyWithin(column * n, pivot * n, (pivot + 1) * n);
      side.set(kept, pivot * n);
    }
    const scale = 1 / a[column * n + column]!;
    for (const side of [a, inverse]) for (let j = column * n; j < (column + 1) * n; j++) side[j]! *= scale;
    for (let row = 0; row < n; row++) {
      const factor = a[row * n + column]!;
      if (row === column || factor === 0) continue;
      for (const side of [a, inverse]) {
        for (let j = 0; j < n; j++) side[row * n + j]! -= factor * side[column * n + j]!;
      }
    }
  }
  return inverse;
}
