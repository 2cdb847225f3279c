import type { Candidate } from './candidates.js';
import type { Interaction } from './interaction.js';
import type { Measured } from './subject.js';

/** A candidate as far as it was measured. */
export interface Tried extends Omit<Measured, 'verdict'> {
  readonly name: string;
  readonly steps: Candidate['steps'];
  /** Of the published tensors. */
  readonly bytes: number;
  /** Of the dense model's bytes. */
  readonly size: number;
  readonly pass: boolean;
  readonly reason: string;
  /** Measured on the whole text, and no other such candidate is both smaller and better. */
  readonly front: boolean;
}

/** What a search over a recipe has found. */
export interface SearchResult {
  /** In words. */
  readonly gate: string;
  readonly passages: number;
  readonly rounds: readonly { readonly passages: number; readonly candidates: number }[];
  readonly dense: { readonly bytes: number; readonly accuracy: number; readonly perplexity: number };
  /** All that could be made, the smallest first. */
  readonly tried: readonly Tried[];
  /** Those that could not be made of this model, and why. */
  readonly impossible: readonly { readonly name: string; readonly reason: string }[];
  /** The smallest that passes the gate on the whole text; null where none does. */
  readonly best: Tried | null;
  /** Of the best one's steps, where it has several. */
  readonly interaction: Interaction | null;
}
