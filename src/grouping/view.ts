import type { ClusteredPopulation } from '../clustering/index.js';
import { type ClusterDistances, type ClusterEdge, clusterDistances, reduce, topologyOf } from '../clusters/index.js';

/** What is drawn of a population: its neurons in the three directions in which they differ most. */
export interface PopulationView {
  readonly name: string;
  /** Up to `MOST_POINTS` of its neurons, spread evenly over them. */
  readonly points: readonly {
    readonly neuron: number;
    readonly cluster: number;
    readonly at: readonly [number, number, number];
  }[];
  /** Neurons that are in the space; more than there are points where those are a part of them. */
  readonly live: number;
  /** Of the variance, what each of the three directions has. */
  readonly explained: readonly number[];
  readonly clusters: readonly { readonly size: number; readonly at: readonly [number, number, number] }[];
  readonly distances: ClusterDistances;
  readonly topology: readonly ClusterEdge[];
}

/** More dots hide each other, and each takes a hundred bytes of the file. */
export const MOST_POINTS = 2000;

type Place = readonly [number, number, number];

/** Returns what is drawn of a clustered population; undefined where no neuron is left. */
export function viewOf({ population, points, clustering }: ClusteredPopulation): PopulationView | undefined {
  if (clustering === undefined) return undefined;
  const { features, explained } = reduce(points.features, { dimensions: 3, variance: 1 });
  const placeOf = (i: number): Place => {
    const at = (d: number) => (d < features.dimensions ? features.values[i * features.dimensions + d]! : 0);
    return [at(0), at(1), at(2)];
  };
  const { assignments, k, sizes } = clustering;
  const distances = clusterDistances(points.features, assignments);
  const step = Math.max(1, features.count / MOST_POINTS);
  const shown = Array.from({ length: Math.min(MOST_POINTS, features.count) }, (_, i) => Math.floor(i * step));
  return {
    name: population.name,
    points: shown.map((i) => ({ neuron: points.live[i]!, cluster: assignments[i]!, at: placeOf(i) })),
    live: features.count,
    explained: [...explained],
    clusters: Array.from({ length: k }, (_, cluster) => {
      const members = [...assignments.keys()].filter((i) => assignments[i] === cluster);
      return { size: sizes[cluster]!, at: middleOf(members.map(placeOf)) };
    }),
    distances,
    topology: topologyOf(distances).tree,
  };
}

function middleOf(places: readonly Place[]): Place {
  const mean = (d: 0 | 1 | 2) => places.reduce((sum, place) => sum + place[d], 0) / places.length;
  return [mean(0), mean(1), mean(2)];
}
