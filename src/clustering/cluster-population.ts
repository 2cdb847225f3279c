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
  type Tendency,
  tendency,
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
  /** Whether there are clusters at all; with `stability`. */
  readonly tendency?: Tendency;
}

export interface PopulationOptions {
  /** Resamples, and as many seeds, by which stability is measured, and normal clouds to compare with; none unless given. */
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
  return {
    ...found,
    stability: await stability(points.features, again, clustering.assignments, repetitions),
    tendency: await tendency(points.features, await openToClouds(settings), { clouds: CLOUDS, ...stop }),
  };
}

/** As few as can have a chance of 0.05: each is clustered as often as there are numbers to choose from. */
const CLOUDS = 19;

/** The settings for clouds: a number that was chosen is chosen for each anew, from a single start for each number. */
async function openToClouds(settings: ClusterSettings): Promise<ClusteringSettings> {
  const { takes } = await clusterings.load(settings.method);
  const cut = settings.depth !== undefined ? { depth: settings.depth } : settings.k === 'auto' ? {} : { k: settings.k };
  return { ...methodOf(settings), ...(takes.includes('k') && cut), ...(takes.includes('restarts') && { restarts: 1 }) };
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

function methodOf(settings: ClusterSettings): Omit<ClusteringSettings, 'k' | 'depth' | 'height'> {
  const { method, linkage, epsilon, minPoints, seed } = settings;
  return {
    method,
    seed,
    ...(linkage !== undefined && { linkage }),
    ...(epsilon !== undefined && { epsilon }),
    ...(minPoints !== undefined && { minPoints }),
  };
}
