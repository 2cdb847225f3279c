import type { Device } from '../tensor/index.js';
import type { Certificate } from './decomposition.js';
import { gaussians } from './gaussian.js';
import { multiply, squaredNorm } from './products.js';
import type { WeightOperator } from './weight-operator.js';

/** What a randomised decomposition found. */
export interface Found {
  /** Orthonormal directions of outputs uᵢ, [count, rows]. */
  readonly basis: Float32Array;
  /** Aᵀ uᵢ, [count, columns]. */
  readonly images: Float32Array;
  /** ‖Aᵀ uᵢ‖², descending, [count]. */
  readonly energies: Float64Array;
  /** ‖A‖². */
  readonly total: number;
  readonly rank: number;
  readonly device: Device;
  readonly seed: number;
}

/** Random vectors that look for what the basis missed, and how often each goes through A Aᵀ. */
const PROBES = 16;
const STEPS = 6;

const FAILURE_PROBABILITY = 1e-6;

/**
 * The least that factors of `rank` can lose of A, however they are found.
 *
 * Let H = A Aᵀ = [[Θ, Cᵀ], [C, N]] in the basis and its complement: Θ holds the energies θᵢ, C what H takes out of the basis, and
 * ‖N‖ ≤ ν. For every t > ν, H is below diag(Θ + Cᵀ (t − N)⁻¹ C, t) (a Schur complement), so that the largest `rank` eigenvalues
 * of H sum to at most Σ max(θᵢ, t) + ‖C‖² / (t − ν). The least of that over t is taken; ν is found by powers of N on random
 * vectors, where a too small one has the stated probability.
 *
 * Source of the last: Dixon 1983, "Estimating extremal eigenvalues and condition numbers of matrices", theorem 1.
 */
export async function certify(operator: WeightOperator, found: Found): Promise<Certificate> {
  const { energies, total, rank } = found;
  const wanted = Math.min(rank, energies.length);
  const leak = await leakOf(operator, found);
  const norm = await complementNorm(operator, found);
  const most = largestSum(energies.subarray(0, wanted), leak, norm);
  return { leastLoss: Math.max(0, total - most), rank: wanted, failureProbability: FAILURE_PROBABILITY };
}

/** ‖C‖² = Σ ‖H uᵢ − the part of it that lies in the basis‖². */
async function leakOf(operator: WeightOperator, { basis, images, energies, device }: Found): Promise<number> {
  const count = energies.length;
  const taken = await operator.forward(images, count);
  await takeOut(taken, count, { basis, count, length: operator.rows, device });
  return squaredNorm(taken);
}

/** ν ≥ ‖N‖, except with the stated probability. */
async function complementNorm(operator: WeightOperator, found: Found): Promise<number> {
  const { rows: length } = operator;
  const { basis, energies, device, seed } = found;
  const count = energies.length;
  if (count >= length) return 0;
  const probes = gaussians(PROBES * length, seed);
  normalise(probes, length);
  let vectors: Float32Array = probes;
  const growth = new Float64Array(PROBES);
  for (let step = 0; step < STEPS; step += 1) {
    await takeOut(vectors, PROBES, { basis, count, length, device });
    vectors = await operator.forward(await operator.backward(vectors, PROBES), PROBES);
    await takeOut(vectors, PROBES, { basis, count, length, device });
    normalise(vectors, length).forEach((norm, i) => {
      growth[i]! += Math.log(norm);
    });
  }
  // xᵀ N²ˢ x = ‖Nˢ x‖²; one probe fails with 0.8 θ⁻ˢ √n, and all of them must.
  const one = FAILURE_PROBABILITY ** (1 / PROBES);
  const factor = Math.max(1, ((0.8 * Math.sqrt(length)) / one) ** (1 / STEPS));
  const largest = Math.max(...growth);
  return Number.isFinite(largest) ? factor * Math.exp(largest / STEPS) : 0;
}

/** The least of Σ max(θᵢ, t) + leak / (t − norm) over t > norm. */
export function largestSum(energies: Float64Array, leak: number, norm: number): number {
  const kept = energies.reduce((sum, energy) => sum + energy, 0);
  const bound = (t: number) => {
    let above = 0;
    for (const energy of energies) above += Math.max(0, t - energy);
    return kept + above + (leak === 0 ? 0 : leak / (t - norm));
  };
  const reach = Math.max(energies[0] ?? 0, norm) + Math.sqrt(leak);
  // Convex in t: sections of three narrow it down.
  let [low, high] = [norm, norm + 2 * reach];
  for (let step = 0; step < 200; step += 1) {
    const [left, right] = [low + (high - low) / 3, high - (high - low) / 3];
    if (bound(left) <= bound(right)) high = right;
    else low = left;
  }
  return bound(high);
}

interface Space {
  readonly basis: Float32Array;
  readonly count: number;
  readonly length: number;
  readonly device: Device;
}

/** Takes off vectors what lies in the basis, twice: once leaves what rounding made of it. */
async function takeOut(vectors: Float32Array, rows: number, { basis, count, length, device }: Space): Promise<void> {
  const space = { values: basis, rows: count, columns: length };
  for (let time = 0; time < 2; time += 1) {
    const own = { values: vectors, rows, columns: length };
    const shares = await multiply(own, space, device, { transposeRight: true });
    const inside = await multiply({ values: shares, rows, columns: count }, space, device);
    for (let i = 0; i < vectors.length; i += 1) vectors[i]! -= inside[i]!;
  }
}

/** Makes each vector one of length 1, in place; returns their lengths before. */
function normalise(vectors: Float32Array, length: number): Float64Array {
  const norms = new Float64Array(vectors.length / length);
  for (let i = 0; i < norms.length; i += 1) {
    const vector = vectors.subarray(i * length, (i + 1) * length);
    const norm = Math.sqrt(squaredNorm(vector));
    norms[i] = norm;
    if (norm > 0) for (let k = 0; k < length; k += 1) vector[k]! /= norm;
  }
  return norms;
}
