import { type HashOptions, hashCheckpoint, type WeightHashes } from '../manifest/index.js';
import type { Model } from '../model/index.js';
import { checkDigests } from './expected-digests.js';
import type { WaveLayer } from './session.js';
import { isCut, type StackedModel, stacked } from './stack.js';

/**
 * Reads a model through its layers whole, and returns the hashes of what is stored. Throws `mismatch` unless every tensor is what the
 * waves made of it: layers over a cut are held against what is there then, and those below it against what they made at full shape.
 * `folder` is where the model's config.json lies.
 */
export async function checkStack(
  { base, layers, seen, folder }: CheckedStack,
  options: HashOptions,
): Promise<WeightHashes> {
  const hashes = await hashCheckpoint({ ...seen.checkpoint.raw, path: folder }, options);
  const final = layers.filter(({ shapes }) => shapes === 'final');
  if (final.length === 0 || !isCut(layers)) {
    checkDigests(hashes, layers);
    return hashes;
  }
  checkDigests(hashes, final);
  const full = layers.filter(({ shapes }) => shapes !== 'final');
  checkDigests(await hashCheckpoint((await stacked(base, full)).checkpoint.raw, options), full);
  return hashes;
}

/** A model seen through layers, and what it is made of. */
export interface CheckedStack {
  readonly base: Model;
  readonly layers: readonly WaveLayer[];
  readonly seen: StackedModel;
  readonly folder: string;
}
