import { type ClusterEvent, compareClusterings, track } from '../clusters/index.js';
import { BirdboneError } from '../errors.js';
import type { EarlierClusters } from './read-clusters.js';
import type { PopulationRecord } from './record.js';

/** How far the clusters of one population agree with those of an earlier run. */
export interface PopulationComparison {
  readonly name: string;
  readonly neurons: number;
  /** Clusters then and now. */
  readonly k: readonly [before: number, now: number];
  /** 1: the same clusters; 0: as much alike as chance makes them. What is in none counts as a group. */
  readonly adjustedRand: number;
  readonly normalizedMutualInformation: number;
  /** What became of the clusters of before. */
  readonly events: readonly ClusterEvent[];
}

/** Throws `usage` unless some population of an earlier run has one of these names. */
export function checkShared(file: string, before: EarlierClusters, names: readonly string[]): void {
  const earlier = new Set(before.populations.map(({ name }) => name));
  if (names.some((name) => earlier.has(name))) return;
  throw new BirdboneError(
    'usage',
    `${file} has clusters of ${before.neurons} (${before.populations[0]!.name} and so on); there are none of ${names[0]}.`,
    { file, suggestions: [`Cluster the same neurons: --neurons ${before.neurons}`] },
  );
}

/**
 * Compares populations with those of the same name in an earlier run, in their order. Throws as `checkShared`, and `usage` where one has
 * another number of neurons.
 */
export function comparePopulations(
  file: string,
  before: EarlierClusters,
  now: readonly PopulationRecord[],
): PopulationComparison[] {
  checkShared(
    file,
    before,
    now.map(({ name }) => name),
  );
  const earlier = new Map(before.populations.map((population) => [population.name, population]));
  const shared = now.filter(({ name }) => earlier.has(name));
  return shared.map(({ name, neurons, k, assignments }) => {
    const other = earlier.get(name)!;
    if (other.assignments.length !== neurons) {
      throw new BirdboneError(
        'usage',
        `${name} has ${neurons} neurons, and ${other.assignments.length} in ${file}. Only clusters of the same neurons can be compared.`,
        { file, suggestions: ['Where plates were shed, name the state, whose shapes stay: OUT@N'] },
      );
    }
    const { adjustedRand, normalizedMutualInformation } = compareClusterings(other.assignments, assignments);
    const events = track(other.assignments, assignments);
    return { name, neurons, k: [other.k, k], adjustedRand, normalizedMutualInformation, events };
  });
}
