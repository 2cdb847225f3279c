export { type ClusteredPopulation, clusterPopulation, type PopulationOptions } from './cluster-population.js';
export { clusterRows } from './cluster-rows.js';
export { checkDescribable, type DescribeModelOptions, describeModel } from './describe-model.js';
export type { NeuronPoints } from './features.js';
export { neuronsOf, populationNames } from './legs.js';
export type { OutputFigures, Population } from './population.js';
export type { ClusterRows, MatrixRowClusters, RowClusterFigures } from './row-clusters.js';
export {
  type ClusteringContext,
  type ClusterSettings,
  DESCRIPTIONS,
  type Description,
  NEURON_KINDS,
  type NeuronKind,
} from './settings.js';
