import { gaussians } from '../src/lowrank/gaussian.js';

/** Reflections that make up each of the two bases: a random sketch sees no difference between few and many. */
const REFLECTIONS = 4;

/** A square matrix whose singular values are known: H₁ … H₄ diag(σ) H₅ … H₈ with random Householder reflections. */
export function matrixOfSpectrum(singular: Float64Array, seed: number): Float32Array {
  const size = singular.length;
  const values = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) values[i * size + i] = singular[i]!;
  for (let each = 0; each < REFLECTIONS; each += 1) {
    reflectRows(values, unit(size, seed + 2 * each));
    reflectColumns(values, unit(size, seed + 2 * each + 1));
  }
  return new Float32Array(values);
}

/** From flat to steep. The first is what a matrix of independent normal numbers has (the quarter circle law). */
export const SPECTRA: Readonly<Record<string, (i: number, size: number) => number>> = {
  'quarter circle': (i, size) => quarterCircle(1 - (i + 0.5) / size),
  '1 / √i': (i) => (i + 1) ** -0.5,
  '1 / i': (i) => 1 / (i + 1),
  '10^(−i / 200)': (i) => 10 ** (-i / 200),
};

/** The x below which `share` of the quarter circle's area lies, 0 ≤ x ≤ 2, by bisection. */
function quarterCircle(share: number): number {
  const below = (x: number) => ((x / 2) * Math.sqrt(4 - x * x) + 2 * Math.asin(x / 2)) / Math.PI;
  let [low, high] = [0, 2];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (below(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

function unit(size: number, seed: number): Float64Array {
  const vector = Float64Array.from(gaussians(size, seed));
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** (I − 2 v vᵀ) A */
function reflectRows(values: Float64Array, v: Float64Array): void {
  const size = v.length;
  const shares = new Float64Array(size);
  for (let i = 0; i < size; i += 1) for (let j = 0; j < size; j += 1) shares[j]! += v[i]! * values[i * size + j]!;
  for (let i = 0; i < size; i += 1) for (let j = 0; j < size; j += 1) values[i * size + j]! -= 2 * v[i]! * shares[j]!;
}

/** A (I − 2 v vᵀ) */
function reflectColumns(values: Float64Array, v: Float64Array): void {
  const size = v.length;
  for (let i = 0; i < size; i += 1) {
    let share = 0;
    for (let j = 0; j < size; j += 1) share += values[i * size + j]! * v[j]!;
    for (let j = 0; j < size; j += 1) values[i * size + j]! -= 2 * share * v[j]!;
  }
}
