import { GROUP_MAX_EPSILON } from './descent-search.js';
import { nearestInt } from './float32.js';

const TENTH = Math.fround(0.1);
const f = Math.fround;

/**
 * The step for numbers that are not negative, as codes from 0 to `levels`, that minimises their weighted squared error: the best
 * of nine roundings, then moving one code at a time. Writes the codes. Source: ggml-quants.c (`make_qp_quants`).
 */
export function scaleSearch(values: Float32Array, weights: Float32Array, levels: number, codes: Uint8Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, value);
  if (largest < GROUP_MAX_EPSILON) {
    codes.fill(0, 0, values.length);
    return 0;
  }
  const inverse = bestInverse(values, weights, { levels, largest });
  let products = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i += 1) {
    const code = Math.min(levels, nearestInt(f(inverse * values[i]!)));
    codes[i] = code;
    products = f(products + f(f(weights[i]! * values[i]!) * code));
    squares = f(squares + f(f(weights[i]! * code) * code));
  }
  for (let round = 0; round < 5; round += 1) {
    let moved = false;
    for (let i = 0; i < values.length; i += 1) {
      const [w, x] = [weights[i]!, values[i]!];
      let withoutProducts = f(products - f(f(w * x) * codes[i]!));
      let withoutSquares = f(squares - f(f(w * codes[i]!) * codes[i]!));
      if (withoutProducts <= 0 || withoutSquares <= 0) continue;
      const code = Math.min(levels, nearestInt(f(f(x * withoutSquares) / withoutProducts)));
      if (code === codes[i]) continue;
      withoutProducts = f(withoutProducts + f(f(w * x) * code));
      withoutSquares = f(withoutSquares + f(f(w * code) * code));
      if (f(f(withoutProducts * withoutProducts) * squares) > f(f(products * products) * withoutSquares)) {
        codes[i] = code;
        products = withoutProducts;
        squares = withoutSquares;
        moved = true;
      }
    }
    if (!moved) break;
  }
  return squares > 0 ? f(products / squares) : 0;
}

function bestInverse(
  values: Float32Array,
  weights: Float32Array,
  { levels, largest }: { readonly levels: number; readonly largest: number },
): number {
  let best = f(levels / largest);
  let least = errorOf(values, weights, { inverse: best, levels });
  for (let step = -4; step <= 4; step += 1) {
    if (step === 0) continue;
    const inverse = f(f(f(TENTH * step) + levels) / largest);
    const error = errorOf(values, weights, { inverse, levels });
    if (error < least) {
      least = error;
      best = inverse;
    }
  }
  return best;
}

function errorOf(
  values: Float32Array,
  weights: Float32Array,
  { inverse, levels }: { readonly inverse: number; readonly levels: number },
): number {
  const scale = f(1 / inverse);
  let error = 0;
  for (let i = 0; i < values.length; i += 1) {
    const code = Math.min(levels, nearestInt(f(inverse * values[i]!)));
    const difference = f(values[i]! - f(scale * code));
    error = f(error + f(f(weights[i]! * difference) * difference));
  }
  return error;
}

/** The step at which the largest number is code `levels`; writes the codes. 0 where no number is above 0. */
export function roundToLargest(values: Float32Array, levels: number, codes: Uint8Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, value);
  const inverse = largest > 0 ? f(levels / largest) : 0;
  for (let i = 0; i < values.length; i += 1) codes[i] = Math.min(levels, nearestInt(f(inverse * values[i]!)));
  return f(largest / levels);
}
