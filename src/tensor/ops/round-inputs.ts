import {
  abs,
  add,
  clipByValue,
  div,
  equal,
  fill,
  greaterEqual,
  max,
  mul,
  round,
  sub,
  type Tensor,
  type Tensor2D,
  tidy,
  where,
} from '@tensorflow/tfjs-core';

/** What inputs are rounded to while a model runs. */
export type InputRounding = 'int8' | 'fp8';

/** Whole numbers from −127 to 127, or values of E4M3, and what each row of them is to be multiplied by [n, 1]. */
export interface RoundedRows {
  readonly codes: Tensor2D;
  readonly scales: Tensor2D;
}

/** The code of a row's largest magnitude. Weights of compressed-tensors use half a step more; vLLM's kernels for inputs do not. */
const LARGEST_CODE: Readonly<Record<InputRounding, number>> = { int8: 127, fp8: 448 };

/**
 * Each row of x [n, columns] in codes under a scale of its own, by which its largest magnitude becomes the largest code. Ties go to
 * even. A row of zeros has the scale 1. Source: vLLM, csrc/quantization, `dynamic_scaled_int8_quant_kernel` and
 * `dynamic_per_token_scaled_fp8_quant_kernel`.
 */
export function roundRows(x: Tensor2D, rounding: InputRounding): RoundedRows {
  return tidy(() => {
    const largest = max(abs(x), 1, true) as Tensor2D;
    const top = LARGEST_CODE[rounding];
    const range = where(equal(largest, 0), fill(largest.shape, top), largest);
    const scales = div(range, top) as Tensor2D;
    const codes = rounding === 'int8' ? round(mul(x, div(top, range))) : roundToE4m3(div(x, scales));
    return { codes: codes as Tensor2D, scales };
  });
}

/** The largest finite value of E4M3. */
const E4M3_LARGEST = 448;
/** Exponents of its normal numbers; below the smallest, values are as far apart as at it. */
const E4M3_EXPONENTS = { least: -6, most: 8 };

/**
 * Each value as the nearest one of E4M3, ties to even; beyond ±448 it is ±448, and −0 is 0. Exact on every device: sums of float32 with a number
 * whose last place is the wanted one are rounded to it.
 */
export function roundToE4m3<Shape extends Tensor>(x: Shape): Shape {
  return tidy(() => {
    const clipped = clipByValue(x, -E4M3_LARGEST, E4M3_LARGEST);
    const magnitude = abs(clipped);
    const { least, most } = E4M3_EXPONENTS;
    // Three bits after the leading one: the last place of 1.5 · 2^(e + 20) is 2^(e − 3).
    const rounderOf = (exponent: number) => fill(x.shape, 1.5 * 2 ** (exponent + 20));
    let rounder = rounderOf(least);
    for (let exponent = least + 1; exponent <= most; exponent += 1) {
      rounder = where(greaterEqual(magnitude, 2 ** exponent), rounderOf(exponent), rounder);
    }
    return sub(add(clipped, rounder), rounder) as Shape;
  });
}

/** x under one scale for all of it, through E4M3 and back: what a cache of that type gives for what was put into it. */
export function throughE4m3<Shape extends Tensor>(x: Shape, scale: number): Shape {
  return tidy(() => mul(roundToE4m3(div(x, scale)), scale) as Shape);
}
