import type { Counts } from '../allocation/index.js';
import { fitted } from './fitness.js';
import type { Budgets, ClusterFigures, ThresholdCluster } from './threshold-cluster.js';

/** A cluster that stands out of its matrix by one deviation in all figures has its sparsity moved by this. As OWL's λ. */
const SPREAD = 0.08;

/** What each figure says of a cluster that has more of it than the others of its matrix: 1, that it should lose less. */
const LEANINGS: Readonly<Record<keyof ClusterFigures, number>> = {
  importance: 1,
  variance: 1,
  // What has drifted from the dense model already has less to lose.
  health: -1,
  // What is dense has not yet paid its share.
  density: -1,
};

/**
 * Thresholds by what clusters are like, nothing measured: around the division given, clusters of a matrix with more importance and
 * variance than its others lose less, and so do those whose health has suffered; dense ones lose more. Figures are compared as
 * logarithms, in deviations over the matrix's rows; a cluster of many rows is itself most of the mean, and so stays near it.
 */
export function figureStart(base: Counts, clusters: readonly ThresholdCluster[], budgets: Budgets): Counts {
  const leanings = new Map<string, number>();
  for (const matrix of new Set(clusters.map((cluster) => cluster.matrix))) {
    const own = clusters.filter((cluster) => cluster.matrix === matrix);
    for (const [i, leaning] of leaningsOf(own).entries()) leanings.set(own[i]!.name, leaning);
  }
  return fitted(
    clusters,
    ({ name, elements }) => base.get(name)! / elements - SPREAD * Math.tanh(leanings.get(name)!),
    budgets,
  );
}

function leaningsOf(own: readonly ThresholdCluster[]): number[] {
  const all = (Object.keys(LEANINGS) as (keyof ClusterFigures)[]).map((figure) =>
    deviations(own, figure).map((deviation) => LEANINGS[figure] * deviation),
  );
  return own.map((_, i) => all.reduce((sum, each) => sum + each[i]!, 0) / all.length);
}

/** In place of the logarithm of 0. */
const TINY = 1e-12;

/** How many standard deviations above its matrix each cluster is. */
function deviations(own: readonly ThresholdCluster[], figure: keyof ClusterFigures): number[] {
  const logs = own.map(({ figures }) => Math.log(Math.max(TINY, figures[figure])));
  const rows = own.reduce((sum, each) => sum + each.rows, 0);
  const mean = own.reduce((sum, each, i) => sum + each.rows * logs[i]!, 0) / rows;
  const variance = own.reduce((sum, each, i) => sum + each.rows * (logs[i]! - mean) ** 2, 0) / rows;
  return logs.map((log) => (variance <= TINY ? 0 : (log - mean) / Math.sqrt(variance)));
}
