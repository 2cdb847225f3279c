import { nearestInt } from './float32.js';
import type { Group } from './symmetric-search.js';

const f = Math.fround;

/** Which ways to round an affine search tries: `levels + first + i · step` steps over the range, i from 0 to `steps`. */
export interface AffineTrials {
  /** The largest code; the smallest is 0. */
  readonly levels: number;
  readonly first: number;
  readonly step: number;
  readonly steps: number;
  /** Minimise absolute errors in place of squared ones. */
  readonly absolute: boolean;
}

/** What a search found: value ≈ scale · code − min, both at least 0. */
export interface AffineFit {
  readonly scale: number;
  readonly min: number;
}

const trialCodes = new Float32Array(32);

/**
 * The scale and minimum that minimise the weighted error of a group of at most 32 values, among the least-squares solutions of
 * the trials' roundings. Zero always lies in the range: a minimum is never above it. Writes the codes.
 * Source: ggml-quants.c (`make_qkx2_quants`, `make_qkx3_quants`).
 */
export function affineSearch(group: Group, trials: AffineTrials, codes: Uint8Array): AffineFit {
  const { count } = group;
  const { levels } = trials;
  const { least, most } = rangeOf(group);
  let min = Math.min(least, 0);
  if (most <= min) {
    codes.fill(0, 0, count);
    return { scale: 0, min: -min };
  }
  const sums = weightSums(group);
  let inverse = f(levels / f(most - min));
  let scale = f(1 / inverse);
  codesAt(group, { inverse, min, levels });
  let best = errorOf(group, { scale, min }, trials.absolute);
  for (let i = 0; i < count; i += 1) codes[i] = trialCodes[i]!;
  for (let trial = 0; trial <= trials.steps; trial += 1) {
    const stepsOver = f(f(f(trials.first) + f(f(trials.step) * trial)) + levels);
    inverse = f(stepsOver / f(most - min));
    codesAt(group, { inverse, min, levels });
    const fit = leastSquares(group, sums);
    if (fit === undefined) continue;
    const error = errorOf(group, fit, trials.absolute);
    if (error < best) {
      best = error;
      ({ scale, min } = fit);
      for (let i = 0; i < count; i += 1) codes[i] = trialCodes[i]!;
    }
  }
  return { scale, min: -min };
}

function rangeOf({ values, at, count }: Group): { least: number; most: number } {
  let least = values[at]!;
  let most = least;
  for (let i = at + 1; i < at + count; i += 1) {
    if (values[i]! < least) least = values[i]!;
    if (values[i]! > most) most = values[i]!;
  }
  return { least, most };
}

/** Σ w and Σ w·x. */
function weightSums({ values, at, count, weights, weightsAt }: Group): { weight: number; weighted: number } {
  let weight = weights[weightsAt]!;
  let weighted = f(weight * values[at]!);
  for (let i = 1; i < count; i += 1) {
    const w = weights[weightsAt + i]!;
    weight = f(weight + w);
    weighted = f(weighted + f(w * values[at + i]!));
  }
  return { weight, weighted };
}

function codesAt(
  { values, at, count }: Group,
  { inverse, min, levels }: { readonly inverse: number; readonly min: number; readonly levels: number },
): void {
  for (let i = 0; i < count; i += 1) {
    const code = nearestInt(f(inverse * f(values[at + i]! - min)));
    trialCodes[i] = Math.max(0, Math.min(levels, code));
  }
}

/** The scale and minimum that suit the trial's codes best; the minimum is 0 where it would be above. */
function leastSquares(
  { values, at, count, weights, weightsAt }: Group,
  { weight, weighted }: { readonly weight: number; readonly weighted: number },
): { scale: number; min: number } | undefined {
  let codes = 0;
  let squares = 0;
  let products = 0;
  for (let i = 0; i < count; i += 1) {
    const code = trialCodes[i]!;
    const weightedCode = f(weights[weightsAt + i]! * code);
    codes = f(codes + weightedCode);
    squares = f(squares + f(weightedCode * code));
    products = f(products + f(weightedCode * values[at + i]!));
  }
  const determinant = f(f(weight * squares) - f(codes * codes));
  if (!(determinant > 0)) return undefined;
  const scale = f(f(f(weight * products) - f(weighted * codes)) / determinant);
  const min = f(f(f(squares * weighted) - f(codes * products)) / determinant);
  return min > 0 ? { scale: f(products / squares), min: 0 } : { scale, min };
}

function errorOf(
  { values, at, count, weights, weightsAt }: Group,
  { scale, min }: { readonly scale: number; readonly min: number },
  absolute: boolean,
): number {
  let error = 0;
  for (let i = 0; i < count; i += 1) {
    const difference = f(f(f(scale * trialCodes[i]!) + min) - values[at + i]!);
    const cost = absolute ? Math.abs(difference) : f(difference * difference);
    error = f(error + f(weights[weightsAt + i]! * cost));
  }
  return error;
}
