import type { KnownDifferences } from '../differences/index.js';
import type { WeightHashes } from '../manifest/index.js';
import { type History, isWhole } from '../state/index.js';
import type { ObjectStore } from '../store/index.js';
import { expectedDigests } from './expected-digests.js';
import type { WaveLayer } from './session.js';

/**
 * What a run has found of its tensors on the way, so that nothing is read for it again. It is in memory alone: a run that goes on where
 * another ended finds the same anew, and what it publishes is the same.
 */
export interface Known {
  /** The run's objects: it knows which of them it has found to be sound. */
  readonly store: ObjectStore;
  /** Of the base, as it was when the run began. */
  readonly base: WeightHashes['tensors'];
  /** By the object of a layer that lies over the base alone: sums over the base and what the layer makes of it. */
  readonly differences: Map<string, KnownDifferences>;
}

/** Digests of a state's tensors, as far as they are known: of the base's, and of those that layers of the same shapes have changed. */
export function digestsThrough({ base }: Known, layers: readonly WaveLayer[]): ReadonlyMap<string, string> {
  const digests = new Map([...base].map(([name, { sha256 }]) => [name, sha256] as const));
  for (const [name, sha256] of expectedDigests(layers)) digests.set(name, sha256);
  return digests;
}

/** What is known of how a state differs from the base: nothing, unless it is the base through one layer. */
export function differencesOf({ differences }: Known, past: History): KnownDifferences | undefined {
  const [only, ...others] = past.waves.filter(({ active }) => active);
  if (only === undefined || others.length > 0 || !isWhole(past)) return undefined;
  return differences.get(only.layer.sha256);
}
