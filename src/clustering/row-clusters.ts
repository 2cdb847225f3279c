import type { Model } from '../model/index.js';
import type { ClusteringContext, ClusterSettings } from './settings.js';

/** A cluster of output rows of one matrix, at a glance. */
export interface RowClusterFigures {
  /** As in `MatrixRowClusters.assignments`. */
  readonly cluster: number;
  /** Rows in it; never 0. */
  readonly rows: number;
  /** Mean and variance of its rows' outputs, over rows and tokens; absent without a text. */
  readonly mean?: number;
  readonly variance?: number;
  /** Mean over its weights of |W_ij| · ‖X_j‖₂ (Wanda), or of |W_ij| without a text. */
  readonly importance: number;
  /** The fraction of its weights that are not 0. */
  readonly density: number;
}

/** The clusters of one prunable matrix's output rows. */
export interface MatrixRowClusters {
  /** Stored name of the weight. */
  readonly name: string;
  readonly block: number;
  /** [rows]: the cluster of each output row, 0 to clusters.length − 1. Rows that no cluster wanted share the last one. */
  readonly assignments: Int32Array;
  /** By their number. */
  readonly clusters: readonly RowClusterFigures[];
}

/** Clusters the output rows of every linear weight inside the blocks, each matrix by itself; by its stored name. */
export type ClusterRows = (
  model: Model,
  settings: ClusterSettings,
  context: ClusteringContext,
) => Promise<ReadonlyMap<string, MatrixRowClusters>>;
