import type { Features } from './features.js';

/** What a point that belongs to no cluster is assigned. */
export const NOISE = -1;

/** How far apart two clusters of a hierarchy are said to be (Lance & Williams 1967; Ward 1963). */
export type Linkage = 'ward' | 'average' | 'complete' | 'single';

/** What a method may be told. A setting that it does not take is refused. */
export interface MethodSettings {
  /** Everything random comes from it: an integer; the same features, settings and seed give the same clusters. */
  readonly seed: number;
  /** kmeans, minibatch, hierarchical: clusters to make. There are fewer where fewer points differ, and `notes` say so. */
  readonly k?: number;
  /** kmeans, minibatch: independent starts, of which the one with the least inertia is kept. */
  readonly restarts?: number;
  /** hierarchical: `ward` unless given. */
  readonly linkage?: Linkage;
  /** hierarchical, instead of `k`: levels below the root at which the tree is cut, into 2^depth clusters at most. */
  readonly depth?: number;
  /** hierarchical, instead of `k`: clusters farther apart than this stay apart. In units of the features. */
  readonly height?: number;
  /** dbscan: the radius of a neighbourhood, in units of the features; from the distances between neighbours unless given. */
  readonly epsilon?: number;
  /** dbscan: points that a neighbourhood needs to be dense, the one in its middle among them. */
  readonly minPoints?: number;
}

export interface ClusteringSettings extends MethodSettings {
  /** A name in `clusterings`. */
  readonly method: string;
}

/** How good a clustering is. Points that belong to no cluster are left out of every index; `noise` says how many they are. */
export interface Quality {
  /** Mean silhouette, −1 to 1, more is better (Rousseeuw 1987). Null where it is not defined: one cluster, or only single points. */
  readonly silhouette: number | null;
  /** Points whose silhouettes were measured, each against all points. Fewer than there are: drawn by the seed. */
  readonly silhouettePoints: number;
  /** 0 and up, less is better (Davies & Bouldin 1979). Null with one cluster, and where two centroids coincide. */
  readonly daviesBouldin: number | null;
  /** 0 and up, more is better (Caliński & Harabasz 1974). Null with one cluster, with as many as points, and with no inertia. */
  readonly calinskiHarabasz: number | null;
  /** Sum of squared distances from the points to the centroids of their clusters. */
  readonly inertia: number;
  /** Fraction of the points that belong to no cluster. */
  readonly noise: number;
}

/** Points divided into clusters. Clusters are numbered in the order of their first points. */
export interface Clustering {
  readonly method: string;
  /** The cluster of each point; −1: none. */
  readonly assignments: Int32Array;
  readonly k: number;
  /** Points of each cluster. */
  readonly sizes: Int32Array;
  /** Means of the clusters, [k, dimensions]. */
  readonly centroids: Float64Array;
  readonly inertia: number;
  readonly quality: Quality;
  /** Mean silhouette of each cluster, over its points that were measured; null where none was. Near 0: it runs into another. */
  readonly silhouettes: readonly (number | null)[];
  /** Where the result is other than what was asked for, and what was chosen where nothing was said: one sentence each. */
  readonly notes: readonly string[];
}

/** What a method hands back: any numbers from 0 on, and −1 for noise. */
export interface Partition {
  readonly assignments: Int32Array;
  readonly notes?: readonly string[];
}

/** A way to divide points into clusters. */
export interface ClusteringMethod {
  /** Settings besides the seed that it takes. */
  readonly takes: readonly Exclude<keyof MethodSettings, 'seed'>[];
  /** True when it makes the number of clusters that it is asked for; false when it finds that number itself. */
  readonly isNumbered: boolean;
  /** Points that it takes at most, and why. */
  readonly limit: { readonly points: number; readonly because: string };
  /**
   * Does what does not depend on k, and returns what divides the points into k clusters; methods that are not numbered ignore
   * k. k is at most the number of different points. `points` are checked and their largest value is between 1 and 2; `unit`
   * is a distance of 1 between them in units of the features.
   */
  prepare(points: Features, settings: MethodSettings, unit: number): (k: number) => Partition;
}
