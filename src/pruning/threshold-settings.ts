import type { ClusterSettings } from '../clustering/index.js';
import { DEFAULT_SEARCH, type ThresholdBounds, type ThresholdSearch } from '../thresholds/index.js';

/** What `--thresholds cluster` leaves to choose; what is left out is as in DEFAULT_CLUSTERS and DEFAULT_SEARCH. */
export interface ThresholdSettings extends ThresholdBounds, Partial<ThresholdSearch> {
  /** Clusters of each matrix, or `auto`: as many as their quality says. */
  readonly clusters?: number | 'auto' | undefined;
  readonly clusterBy?: ClusterSettings['by'] | undefined;
  readonly clusterMethod?: string | undefined;
}

/** As many as the search can tell apart on a few thousand tokens: the matrices of a model are many times that. */
export const DEFAULT_CLUSTERS = { clusters: 4, clusterBy: 'functional', clusterMethod: 'kmeans' } as const;

export function clusterSettings(settings: ThresholdSettings, seed: number): ClusterSettings {
  const { clusters, clusterBy, clusterMethod } = settings;
  return {
    by: clusterBy ?? DEFAULT_CLUSTERS.clusterBy,
    method: clusterMethod ?? DEFAULT_CLUSTERS.clusterMethod,
    k: clusters ?? DEFAULT_CLUSTERS.clusters,
    seed,
  };
}

export function searchSettings(settings: ThresholdSettings): ThresholdSearch {
  const {
    generations = DEFAULT_SEARCH.generations,
    offspring = DEFAULT_SEARCH.offspring,
    patience = DEFAULT_SEARCH.patience,
    regularization = DEFAULT_SEARCH.regularization,
  } = settings;
  return { generations, offspring, patience, regularization };
}
