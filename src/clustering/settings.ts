import type { Linkage } from '../clusters/index.js';
import type { Report } from '../events.js';
import type { Device } from '../tensor/index.js';

/** What a neuron is described by: what it gives over a text, its weights, or both. */
export const DESCRIPTIONS = ['functional', 'structural', 'both'] as const;
export type Description = (typeof DESCRIPTIONS)[number];

/** What a neuron is: an output row of a matrix, a channel of a feed-forward network, or an attention head. */
export const NEURON_KINDS = ['rows', 'ffn', 'heads'] as const;
export type NeuronKind = (typeof NEURON_KINDS)[number];

/** How neurons are described and grouped; everything that decides which cluster a neuron is in, but for model and text. */
export interface ClusterSettings {
  readonly by: Description;
  /** A name of the registry `clusterings`. */
  readonly method: string;
  /** `auto`: the number with the best quality. Without effect on `dbscan`, which finds its own. */
  readonly k: number | 'auto';
  /** Of `hierarchical`. */
  readonly linkage?: Linkage;
  /** Of `hierarchical`: cuts the tree after so many levels, in place of `k`. */
  readonly depth?: number;
  /** Of `dbscan`: the radius of a neighbourhood, in the space that neurons are clustered in. */
  readonly epsilon?: number;
  /** Of `dbscan`: neurons that a dense neighbourhood has. */
  readonly minPoints?: number;
  readonly seed: number;
}

/** What descriptions are made with. */
export interface ClusteringContext {
  readonly device: Device;
  /** Windows that go through the model; without effect on `structural`, and needed by the others. */
  readonly calibration: readonly { readonly ids: Int32Array }[];
  /** What hidden states may take in memory; the rest goes to files in `spillFolder`. */
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly report: Report;
  readonly signal?: AbortSignal;
}
