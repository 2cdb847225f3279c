import type { ClusteredPopulation, Population } from '../clustering/index.js';
import {
  type Agreement,
  type ClusterDistances,
  type ClusterTopology,
  clusterDistances,
  portraitsOf,
  type Tendency,
  topologyOf,
} from '../clusters/index.js';
import { type ClusterRecord, type PopulationRecord, trialsOf } from './record.js';

/** What is kept of a clustered population; the descriptions of its neurons are not. */
export function recordOf(clustered: ClusteredPopulation): PopulationRecord {
  const { population, points, assignments, clustering, trials, stability, tendency } = clustered;
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
    ...(tendency && { tendency: chanceOf(tendency) }),
    notes: clustering?.notes ?? [],
    clusters: distances && topology ? clusterRecords(clustered, distances, topology) : [],
    topology: topology?.tree ?? [],
    assignments,
  };
}

function summaryOf(agreement: Agreement | null) {
  return agreement && { mean: agreement.mean, least: agreement.least };
}

function chanceOf({ clouds, chance }: Tendency) {
  return { clouds: clouds.reduce((sum, silhouette) => sum + silhouette, 0) / clouds.length, chance };
}

function clusterRecords(
  { population, points, assignments, clustering, stability }: ClusteredPopulation,
  { k, spreads }: ClusterDistances,
  { nearest }: ClusterTopology,
): ClusterRecord[] {
  const members = Array.from({ length: k }, (): number[] => []);
  for (const [neuron, cluster] of assignments.entries()) if (cluster >= 0) members[cluster]!.push(neuron);
  const portraits = portraitsOf(points.features, clustering!.assignments);
  return members.map((neurons, cluster) => {
    const { typical, marks } = portraits[cluster]!;
    const recovered = stability?.clusters[cluster];
    const silhouette = clustering!.silhouettes[cluster];
    return {
      cluster,
      size: neurons.length,
      ...figuresOf(population, neurons),
      ...(typeof silhouette === 'number' && { silhouette }),
      spread: spreads[cluster]!,
      ...(nearest[cluster]! >= 0 && { nearest: nearest[cluster]! }),
      typical: typical.map((point) => points.live[point]!),
      marks: marks
        .filter(({ difference }) => Number.isFinite(difference))
        .map(({ dimension, difference }) => {
          return { name: points.names[dimension]!, difference };
        }),
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
