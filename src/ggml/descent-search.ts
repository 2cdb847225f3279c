import { nearestInt } from './float32.js';

/** Below this magnitude a group counts as zero. Source: ggml-quants.c (`GROUP_MAX_EPS`). */
export const GROUP_MAX_EPSILON = 1e-15;

const f = Math.fround;

/** The value of largest magnitude, with its sign; the first of equals. */
export function extremeOf(values: Float32Array, at: number, count: number): number {
  let largest = 0;
  let extreme = 0;
  for (let i = at; i < at + count; i += 1) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > largest) {
      largest = magnitude;
      extreme = values[i]!;
    }
  }
  return extreme;
}

/** The most values that a group may have. */
const MAX_COUNT = 16;
const codes = new Int8Array(MAX_COUNT);

/**
 * The scale for codes in [−levels, levels), found by moving one code at a time while that lowers the error weighted by x²; up to
 * five rounds. Writes the codes plus `levels`, zeros for a group of zeros. Source: ggml-quants.c (`make_q3_quants`).
 */
export function descentSearch(values: Float32Array, at: number, levels: number, found: Uint8Array): number {
  const count = found.length;
  const extreme = extremeOf(values, at, count);
  if (Math.abs(extreme) < GROUP_MAX_EPSILON) {
    found.fill(0);
    return 0;
  }
  const inverse = f(-levels / extreme);
  let products = 0;
  let squares = 0;
  for (let i = 0; i < count; i += 1) {
    const x = values[at + i]!;
    const w = f(x * x);
    codes[i] = clamped(nearestInt(f(inverse * x)), levels);
    products = f(products + f(f(w * x) * codes[i]!));
    squares = f(squares + f(f(w * codes[i]!) * codes[i]!));
  }
  for (let round = 0; round < 5; round += 1) {
    let moved = false;
    for (let i = 0; i < count; i += 1) {
      const x = values[at + i]!;
      const w = f(x * x);
      let withoutProducts = f(products - f(f(w * x) * codes[i]!));
      if (withoutProducts <= 0) continue;
      let withoutSquares = f(squares - f(f(w * codes[i]!) * codes[i]!));
      const code = clamped(nearestInt(f(f(x * withoutSquares) / withoutProducts)), levels);
      if (code === codes[i]) continue;
      withoutProducts = f(withoutProducts + f(f(w * x) * code));
      withoutSquares = f(withoutSquares + f(f(w * code) * code));
      const gains = f(f(withoutProducts * withoutProducts) * squares) > f(f(products * products) * withoutSquares);
      if (withoutSquares > 0 && gains) {
        codes[i] = code;
        products = withoutProducts;
        squares = withoutSquares;
        moved = true;
      }
    }
    if (!moved) break;
  }
  for (let i = 0; i < count; i += 1) found[i] = codes[i]! + levels;
  return squares > 0 ? f(products / squares) : 0;
}

function clamped(code: number, levels: number): number {
  return Math.max(-levels, Math.min(levels - 1, code));
}
