import { upperTail } from '../spikes/index.js';

/** How large some error was with this part of the weights removed. */
export interface DamageObservation {
  /** 0 to 1. */
  readonly removed: number;
  readonly error: number;
}

/** An error as it is expected, and the interval that it lies in with 90 % probability if the law holds. */
export interface PredictedError {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

/**
 * What is known of ln error = a + b ln removed + noise before anything was measured: b and by how much models differ in it, the noise
 * and what it is worth in observations. Nothing is known of a.
 */
export interface PredictionPrior {
  readonly exponent: number;
  readonly exponentDeviation: number;
  readonly scatter: number;
  readonly confidence: number;
}

/** Relative errors of hidden states, near what docs/damage.md measured. */
export const OUTPUT_ERROR_PRIOR: PredictionPrior = {
  exponent: 1.5,
  exponentDeviation: 0.5,
  scatter: 0.1,
  confidence: 2,
};

/** A Kullback–Leibler divergence goes as the square of a small error. */
export const DIVERGENCE_PRIOR: PredictionPrior = {
  ...OUTPUT_ERROR_PRIOR,
  exponent: 2 * OUTPUT_ERROR_PRIOR.exponent,
  exponentDeviation: 2 * OUTPUT_ERROR_PRIOR.exponentDeviation,
  scatter: 2 * OUTPUT_ERROR_PRIOR.scatter,
};

/** What of the probability lies above an interval, and as much below. */
const TAIL = 0.05;

/**
 * The error that is to be expected with this part removed, learnt from what was measured before: Bayesian regression of ln error on ln
 * removed with a conjugate prior, whose predictions are distributed as Student's t. One observation is enough, as the prior knows
 * about how fast errors grow; undefined without any that can be used. Source: Gelman et al., "Bayesian Data Analysis", 3rd ed., 14.
 */
export function predictError(
  past: readonly DamageObservation[],
  removed: number,
  prior: PredictionPrior,
): PredictedError | undefined {
  const known = past.filter((observation) => observation.removed > 0 && observation.error > 0);
  if (known.length === 0 || !(removed > 0)) return undefined;
  const points = known.map((observation) => [Math.log(observation.removed), Math.log(observation.error)] as const);
  const count = points.length;
  const mean = { x: average(points.map(([x]) => x)), y: average(points.map(([, y]) => y)) };
  // With nothing known of the level it is fitted to the means, and the slope to what is left.
  const squares = sum(points.map(([x]) => (x - mean.x) ** 2));
  const products = sum(points.map(([x, y]) => (x - mean.x) * (y - mean.y)));
  const precision = (prior.scatter / prior.exponentDeviation) ** 2;
  const slope = (products + precision * prior.exponent) / (squares + precision);
  const residuals = sum(points.map(([x, y]) => (y - mean.y - slope * (x - mean.x)) ** 2));
  const departure = precision * (slope - prior.exponent) ** 2;
  // The level takes one observation.
  const freedom = prior.confidence + count - 1;
  const variance = (prior.confidence * prior.scatter ** 2 + residuals + departure) / freedom;
  const distance = Math.log(removed) - mean.x;
  const deviation = Math.sqrt(variance * (1 + 1 / count + distance ** 2 / (squares + precision)));
  const centre = mean.y + slope * distance;
  const reach = quantile(TAIL, freedom) * deviation;
  return { expected: Math.exp(centre), low: Math.exp(centre - reach), high: Math.exp(centre + reach) };
}

/** t with P(T > t) = tail, by bisection. */
function quantile(tail: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (upperTail(high, freedom) > tail) high *= 2;
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (upperTail(middle, freedom) > tail) low = middle;
    else high = middle;
  }
  return high;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function average(values: readonly number[]): number {
  return sum(values) / values.length;
}
