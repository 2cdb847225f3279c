import type { Report } from '../events.js';
import type { Gram } from '../solvers/index.js';
import type { Device } from '../tensor/index.js';
import type { Factors, Shape } from './factors.js';

/** A weight that is read some rows at a time: it need not fit the memory. */
export interface WeightRows extends Shape {
  /** The tensor, for messages. */
  readonly name: string;
  /** Rows [first, first + count), row-major, in an array of the caller's own. */
  read(first: number, count: number): Promise<Float32Array>;
}

export interface DecomposeOptions {
  readonly device: Device;
  /**
   * Σ x xᵀ of the weight's inputs: what is lost is then measured in its outputs on those inputs. Without it, in the weight
   * itself.
   */
  readonly gram?: Gram | undefined;
  /** Directions that are wanted at most; the largest useful rank unless given. Fewer cost less in a large matrix. */
  readonly maxRank?: number;
  /** Of the randomised algorithm; 0 unless given. */
  readonly seed?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** How far what a randomised decomposition loses may be from the least that is possible. */
export interface Certificate {
  /** No factors of `rank` lose less than this, except with `failureProbability`. */
  readonly leastLoss: number;
  readonly rank: number;
  readonly failureProbability: number;
}

/**
 * The directions of a weight's outputs by how much they carry. Factors of rank r keep the first r of them, and lose exactly what
 * the others carry: `total` − Σ_{i<r} energies[i].
 */
export interface Decomposition extends Shape {
  readonly name: string;
  /** σ², descending; all of them in an exact decomposition, the first ones in a randomised one. */
  readonly energies: Float64Array;
  /** ‖W X‖² over the calibration tokens, or ‖W‖² without them. */
  readonly total: number;
  readonly algorithm: 'exact' | 'randomised';
  /** Of a randomised decomposition. */
  readonly certificate?: Certificate;
  /** The best factors of a rank up to `energies.length`. Throws RangeError for others. */
  factors(rank: number): Promise<Factors>;
}

/** What factors of this rank lose of ‖W X‖² (or ‖W‖²). */
export function lossAt({ energies, total }: Pick<Decomposition, 'energies' | 'total'>, rank: number): number {
  let kept = 0;
  for (let i = 0; i < rank; i += 1) kept += energies[i]!;
  return Math.max(0, total - kept);
}
