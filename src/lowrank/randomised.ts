import { matrixProducts, wholePanel } from '../solvers/index.js';
import type { Device } from '../tensor/index.js';
import { certify } from './certificate.js';
import type { Directions } from './directions.js';
import { descending } from './exact.js';
import { gaussians } from './gaussian.js';
import { orthonormalRows } from './orthonormal.js';
import { multiply } from './products.js';
import type { WeightOperator } from './weight-operator.js';

export interface RandomisedOptions {
  readonly device: Device;
  readonly seed: number;
  /** Directions that are wanted. */
  readonly rank: number;
  /** Times that the sketch goes through Aᵀ and A: each squares how much a strong direction stands out of a weak one. */
  readonly iterations?: number;
}

/** Measured on spectra from flat to steep (docs/lowrank.md): a third iteration gains less than a thousandth of the residual. */
const ITERATIONS = 2;

/** Directions that are followed besides those wanted: an eighth, but no fewer than 16. */
function oversampled(rank: number): number {
  return rank + Math.max(16, Math.ceil(rank / 8));
}

/**
 * The first directions of A = W L: a random sketch of its range, sharpened by subspace iteration with a fresh orthonormal basis
 * after each product, then the best directions within it (Rayleigh–Ritz). All large products are the device's. What factors
 * lose is exact, as ‖A‖² − Σ energies; how far that is from the least possible, the certificate says.
 *
 * Source: Halko, Martinsson & Tropp 2011, "Finding structure with randomness", algorithms 4.4 and 5.1.
 */
export async function randomisedDirections(operator: WeightOperator, options: RandomisedOptions): Promise<Directions> {
  const { device, seed, rank, iterations = ITERATIONS } = options;
  const { rows, columns } = operator;
  const count = Math.min(oversampled(rank), rows, columns);
  let outputs = await operator.forward(gaussians(count * columns, seed), count);
  await orthonormalRows(outputs, count, rows, device);
  for (let i = 0; i < iterations; i += 1) {
    const inputs = await operator.backward(outputs, count);
    await orthonormalRows(inputs, count, columns, device);
    outputs = await operator.forward(inputs, count);
    await orthonormalRows(outputs, count, rows, device);
  }
  const inputs = await operator.backward(outputs, count);
  const { energies, vectors } = descending(await grams(inputs, count, columns, device), count, device);
  const turn = { values: new Float32Array(vectors), rows: count, columns: count };
  const basis = await multiply(turn, { values: outputs, rows: count, columns: rows }, device);
  const images = await multiply(turn, { values: inputs, rows: count, columns }, device);
  const total = await operator.squaredNorm();
  const certificate = await certify(operator, { basis, images, energies, total, rank, device, seed: seed + 1 });
  return {
    energies: energies.subarray(0, Math.min(rank, count)),
    total,
    algorithm: 'randomised',
    certificate,
    take: async (wanted) => basis.slice(0, wanted * rows),
  };
}

/** Z Zᵀ [count, count] in double precision. */
async function grams(rows: Float32Array, count: number, length: number, device: Device): Promise<Float64Array> {
  const negative = new Float64Array(count * count);
  const panel = wholePanel(rows, count, length);
  await matrixProducts(device).subtract(wholePanel(negative, count, count), panel, panel, { transposeRight: true });
  return negative.map((value) => -value);
}
