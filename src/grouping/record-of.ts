import type { ClusteredPopulation, Population } from '../clustering/index.js';
import {
  type Agreement,
  type ClusterDistances,
  type ClusterTopology,
  clusterDistances,
  topologyOf,
} from '../clusters/index.js';
import { type ClusterRecord, type PopulationRecord, trialsOf } from './record.js';

/** What is kept of a clustered population; the descriptions of its neurons are not. */
export function recordOf(clustered: ClusteredPopulation): PopulationRecord {
  const { population, points, assignments, clustering, trials, stability } = clustered;
  const { name, parts, expert, count, gone } = population;
  const distances = clustering && clusterDistances(points.features, clustering.assignments);
  const topology = distances && topologyOf(distances);
  return {
    name,
    parts,
    ...(expert !== undefined && { expert }),
    neurons: count,
    gone: [...gone.keys()].filter((neuron) => gone[neuron] === 1),
    space: points.families,
    k: clustering?.k ?? 0,
    ...(clustering && { quality: clustering.quality }),
    ...(trials && { trials: trialsOf(trials) }),
    ...(stability && {
      stability: { seeds: summaryOf(stability.seeds), bootstrap: summaryOf(stability.bootstrap) },
    }),
    notes: clustering?.notes ?? [],
    clusters: distances && topology ? clusterRecords(clustered, distances, topology) : [],
    topology: topology?.tree ?? [],
    assignments,
  };
}

function summaryOf(agreement: Agreement | null) {
  return agreement && { mean: agreement.mean, least: agreement.least };
}

function clusterRecords(
  { population, assignments, stability }: ClusteredPopulation,
  { k, spreads }: ClusterDistances,
  { nearest }: ClusterTopology,
): ClusterRecord[] {
  const members = Array.from({ length: k }, (): number[] => []);
  for (const [neuron, cluster] of assignments.entries()) if (cluster >= 0) members[cluster]!.push(neuron);
  return members.map((neurons, cluster) => {
    const recovered = stability?.clusters[cluster];
    return {
      cluster,
      size: neurons.length,
      ...figuresOf(population, neurons),
      spread: spreads[cluster]!,
      ...(nearest[cluster]! >= 0 && { nearest: nearest[cluster]! }),
      ...(typeof recovered === 'number' && { recovered }),
    };
  });
}

/** Means over some of a population's neurons. */
function figuresOf({ outputs, contribution, norm, density }: Population, neurons: readonly number[]) {
  const mean = (values: Float64Array) => neurons.reduce((sum, neuron) => sum + values[neuron]!, 0) / neurons.length;
  return {
    ...(outputs && {
      mean: mean(outputs.mean),
      deviation: Math.sqrt(mean(outputs.variance)),
      kurtosis: mean(outputs.kurtosis),
      sparseness: mean(outputs.sparseness),
      firing: mean(outputs.firing),
    }),
    ...(contribution && { contribution: mean(contribution) }),
    norm: mean(norm),
    density: mean(density),
  };
}
