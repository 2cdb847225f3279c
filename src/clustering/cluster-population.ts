import {
  type Clustering,
  type ClusteringSettings,
  type ClusterTrial,
  chooseClusters,
  cluster,
  clusterings,
  NOISE,
  type Stability,
  stability,
} from '../clusters/index.js';
import { type NeuronPoints, pointsOf } from './features.js';
import type { Population } from './population.js';
import type { ClusterSettings } from './settings.js';

/** A population, divided. */
export interface ClusteredPopulation {
  readonly population: Population;
  readonly points: NeuronPoints;
  /** The cluster of each neuron [neurons]; −1 for noise and for those that give nothing. */
  readonly assignments: Int32Array;
  /** Of the points; absent where no neuron is left. */
  readonly clustering?: Clustering;
  /** What was tried, where the number of clusters was chosen. */
  readonly trials?: readonly ClusterTrial[];
  readonly stability?: Stability;
}

export interface PopulationOptions {
  /** Resamples, and as many seeds, by which stability is measured; none unless given. */
  readonly bootstraps?: number;
  readonly signal?: AbortSignal;
}

/** Divides a population's neurons into clusters. Throws `usage` as `cluster` does. */
export async function clusterPopulation(
  population: Population,
  settings: ClusterSettings,
  { bootstraps = 0, signal }: PopulationOptions = {},
): Promise<ClusteredPopulation> {
  const points = pointsOf(population);
  const assignments = new Int32Array(population.count).fill(NOISE);
  if (points.live.length === 0) return { population, points, assignments };
  const stop = signal && { signal };
  const { clustering, trials } = await divide(points, settings, stop ?? {});
  points.live.forEach((neuron, i) => {
    assignments[neuron] = clustering.assignments[i]!;
  });
  const found = { population, points, assignments, clustering, ...(trials && { trials }) };
  if (bootstraps === 0) return found;
  const again = await repeated(settings, clustering.k);
  const repetitions = { seeds: bootstraps, bootstraps, ...stop };
  return { ...found, stability: await stability(points.features, again, clustering.assignments, repetitions) };
}

async function divide(
  { features }: NeuronPoints,
  settings: ClusterSettings,
  options: { readonly signal?: AbortSignal },
): Promise<{ clustering: Clustering; trials?: readonly ClusterTrial[] }> {
  const { k, depth } = settings;
  if (depth === undefined && k === 'auto') {
    const { best, trials } = await chooseClusters(features, methodOf(settings), options);
    return { clustering: best, trials };
  }
  return {
    clustering: await cluster(features, {
      ...methodOf(settings),
      ...(depth === undefined ? { k: k as number } : { depth }),
    }),
  };
}

/** What is repeated has as many clusters as were found; methods that find the number find it again. */
async function repeated(settings: ClusterSettings, k: number): Promise<ClusteringSettings> {
  const { depth } = settings;
  const { isNumbered } = await clusterings.load(settings.method);
  return { ...methodOf(settings), ...(depth !== undefined ? { depth } : isNumbered && { k }) };
}

function methodOf({ method, linkage, seed }: ClusterSettings): Omit<ClusteringSettings, 'k' | 'depth' | 'height'> {
  return { method, seed, ...(linkage !== undefined && { linkage }) };
}
