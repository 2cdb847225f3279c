import type { Certificate } from './decomposition.js';

/** Orthonormal directions of a weight's outputs, by how much each carries. */
export interface Directions {
  /** σ², descending. */
  readonly energies: Float64Array;
  /** ‖W L‖², what all directions carry together. */
  readonly total: number;
  readonly algorithm: 'exact' | 'randomised';
  readonly certificate?: Certificate;
  /** The first `rank` directions, [rank, rows]. */
  take(rank: number): Promise<Float32Array>;
}
