import { tilesOf } from '../../quantization/index.js';
import type { QuantizeTarget } from '../quantizer.js';

/** Exponents that are tried: 0, 0.05 … 0.95 (AutoAWQ, `n_grid` = 20). */
const STEPS = 20;

/** With scales of 1. */
export const CANDIDATES = STEPS + 1;

/** Scales below this are raised to it before they are normed (AutoAWQ). */
const LEAST = 1e-4;

/** A set of scales and the exponent r that they came from: s = x^r / w^(1 − r); undefined for scales of 1. */
export interface ScaleCandidate {
  readonly scales: Float32Array;
  readonly ratio: number | undefined;
}

/**
 * The scales that are tried for an input: 1 for all columns, which is plain rounding, and those of AWQ's search by how large the
 * inputs are, mean |x_j|, and how large the weights that read them are within their groups. Normed so that largest and smallest
 * are each other's inverse; an input that was never anything but 0 keeps the scale 1.
 *
 * Source: Lin et al. 2023, "AWQ: Activation-aware Weight Quantization", section 4; the weights' part: AutoAWQ, `duo_scaling`.
 */
export function* scaleCandidates(absMeans: Float32Array, weightMeans: Float64Array): Generator<ScaleCandidate> {
  yield { scales: new Float32Array(absMeans.length).fill(1), ratio: undefined };
  for (let step = 0; step < STEPS; step += 1) {
    const ratio = step / STEPS;
    const raw = Float64Array.from(absMeans, (x, j) => {
      return x === 0 ? 0 : Math.max(LEAST, x ** ratio / (weightMeans[j]! ** (1 - ratio) + LEAST));
    });
    const live = raw.filter((scale) => scale > 0);
    if (live.length === 0) return;
    const [most, least] = live.reduce(([high, low], s) => [Math.max(high, s), Math.min(low, s)], [0, Infinity]);
    const norm = Math.sqrt(most! * least!);
    yield { scales: Float32Array.from(raw, (scale) => (scale === 0 ? 1 : scale / norm)), ratio };
  }
}

/** mean over rows of |W_ij| / (largest |W| of its row's group), over all rows of all readers: [columns]. */
export function relativeWeights(
  readers: readonly (QuantizeTarget & { readonly values: Float32Array })[],
): Float64Array {
  const columns = readers[0]!.spec.columns;
  const sums = new Float64Array(columns);
  let count = 0;
  for (const { spec, scheme, values } of readers) {
    const { tileColumns } = tilesOf(scheme, spec.rows, columns);
    count += spec.rows;
    for (let row = 0; row < spec.rows; row += 1) {
      const start = row * columns;
      for (let first = 0; first < columns; first += tileColumns) {
        const end = Math.min(first + tileColumns, columns);
        let largest = 0;
        for (let j = first; j < end; j += 1) largest = Math.max(largest, Math.abs(values[start + j]!));
        for (let j = first; j < end; j += 1) sums[j]! += Math.abs(values[start + j]!) / (largest + 1e-6);
      }
    }
  }
  return sums.map((sum) => sum / count);
}
