import type { ClusterEdge, ClusterTrial, Quality } from '../clusters/index.js';

/** What a cluster file says of a cluster. Figures of outputs are there where a text was, means over the cluster's neurons. */
export interface ClusterRecord {
  readonly cluster: number;
  readonly size: number;
  /** Of the outputs: mean, standard deviation, excess kurtosis, sparseness and firing rate (docs/clusters.md). */
  readonly mean?: number;
  readonly deviation?: number;
  readonly kurtosis?: number;
  readonly sparseness?: number;
  readonly firing?: number;
  /** √E[y²] ‖W‖ with the weights W that read the output y, where one weight does. */
  readonly contribution?: number;
  /** √Σ w² of a neuron's weights. */
  readonly norm: number;
  /** The fraction of its weights that are not 0. */
  readonly density: number;
  /** The mean silhouette of its neurons: near 0 where it runs into another. Absent with one cluster. */
  readonly silhouette?: number;
  /** Root mean square distance of its neurons to their centroid, in the space that they are clustered in. */
  readonly spread: number;
  /** The cluster whose centroid is nearest; absent where there is no other. */
  readonly nearest?: number;
  /** The three neurons nearest to its centroid, the nearest first. */
  readonly typical: readonly number[];
  /** In what it differs most from the others, by Cohen's d: the difference of the means over the deviation within both. */
  readonly marks: readonly { readonly name: string; readonly difference: number }[];
  /** Mean over resamples of the largest Jaccard index with a cluster of the resample; where `bootstraps` asked. */
  readonly recovered?: number;
}

/** How far repeated clusterings agree with this one, as adjusted Rand indices. */
export interface AgreementRecord {
  readonly mean: number;
  readonly least: number;
}

/** Neurons that were clustered together, and their clusters. */
export interface PopulationRecord {
  readonly name: string;
  /** The blocks that the neurons are of, in their order, and how many are of each. */
  readonly parts: readonly { readonly block: number; readonly count: number }[];
  readonly expert?: number;
  readonly neurons: number;
  /** Neurons that give nothing: all weights of one of their parts are 0. They are in no cluster. */
  readonly gone: readonly number[];
  /** Dimensions of the space that they are clustered in, by what they come from, and the variance that those hold. */
  readonly space: readonly { readonly name: string; readonly dimensions: number; readonly variance: number }[];
  readonly k: number;
  /** Absent where no neuron was left. */
  readonly quality?: Quality;
  /** What was tried, where the number of clusters was chosen. */
  readonly trials?: readonly { readonly k: number; readonly silhouette: number | null; readonly inertia: number }[];
  readonly stability?: { readonly seeds: AgreementRecord | null; readonly bootstrap: AgreementRecord | null };
  /**
   * Whether there are clusters at all: the mean silhouette of normal clouds with the same covariances, and the chance that one has
   * as high a silhouette as these neurons; with `stability`.
   */
  readonly tendency?: { readonly clouds: number; readonly chance: number };
  readonly notes: readonly string[];
  readonly clusters: readonly ClusterRecord[];
  /** The edges of least length that connect all clusters. */
  readonly topology: readonly ClusterEdge[];
  /** The cluster of each neuron; −1 for none [neurons]. */
  readonly assignments: Int32Array;
}

/** How the file says what was tried. */
export function trialsOf(trials: readonly ClusterTrial[]): NonNullable<PopulationRecord['trials']> {
  return trials.map(({ k, quality: { silhouette, inertia } }) => ({ k, silhouette, inertia }));
}
