import { type ClusterEvent, lineagesOf } from '../clusters/index.js';
import type { PopulationRecord } from './record.js';

/** The clusters of one population after one wave. */
export interface WaveClusters {
  /** 0: the dense model. */
  readonly wave: number;
  readonly k: number;
  /** Neurons that give nothing, or no more. */
  readonly gone: number;
  /** Of each cluster, its lineage, which goes on from wave to wave, and its size. */
  readonly lineages: readonly { readonly lineage: number; readonly size: number }[];
  /** What became of the clusters of the state before; empty for the first. Clusters are numbered as in either state. */
  readonly events: readonly ClusterEvent[];
}

/** The clusters of one population over the waves of a run. */
export interface PopulationHistory {
  readonly name: string;
  readonly waves: readonly WaveClusters[];
  /** Lineages that there have been. */
  readonly lineages: number;
}

/** A state of a run and the clusters in it. */
export interface ClusteredState {
  readonly wave: number;
  readonly populations: readonly PopulationRecord[];
}

/** Follows the clusters of every population through the states, which all have the same populations of the same neurons. */
export function historiesOf(states: readonly ClusteredState[]): PopulationHistory[] {
  const [first] = states;
  return (first?.populations ?? []).map(({ name }) => {
    const records = states.map(({ populations }) => populations.find((population) => population.name === name)!);
    const { identities, events, count } = lineagesOf(records.map(({ assignments }) => assignments));
    const waves = records.map(({ k, gone, clusters }, i): WaveClusters => {
      return {
        wave: states[i]!.wave,
        k,
        gone: gone.length,
        lineages: clusters.map(({ cluster, size }) => ({ lineage: identities[i]![cluster]!, size })),
        events: i === 0 ? [] : events[i - 1]!,
      };
    });
    return { name, waves, lineages: count };
  });
}
