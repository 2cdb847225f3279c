import { type HashOptions, hashCheckpoint, hashWhileRead, type WeightHashes } from '../manifest/index.js';
import type { Model } from '../model/index.js';
import { checkDigests } from './expected-digests.js';
import type { WaveLayer } from './session.js';
import { finalModel, isCut, type StackedModel, stacked } from './stack.js';

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

/** A model as it is published, of which reading is checking. */
export interface CheckedReading {
  readonly model: StackedModel;
  /** The hashes of what is stored, once all is read whose hashes these are. Throws as `checkStack`. */
  hashes(published: WeightHashes): Promise<WeightHashes>;
  /** Lets go of what hashes. */
  close(): Promise<void>;
}

/**
 * The model as it is published. What is stored of it is hashed while it is read, and held against what the waves made of it at the end.
 * Where plates are cut out, that is not what is read then: it is read for itself, now.
 */
export async function checkedReading(
  stack: CheckedStack & { readonly asStored: boolean },
  options: HashOptions,
): Promise<CheckedReading> {
  const { base, layers, folder, asStored } = stack;
  if (isCut(layers)) {
    const hashes = await checkStack(stack, options);
    return { model: await finalModel(base, layers), hashes: async () => hashes, close: async () => {} };
  }
  const model = await finalModel(base, layers);
  const reading = hashWhileRead({ ...model.checkpoint.raw, path: folder });
  return {
    model: asStored ? model : { ...model, checkpoint: { ...model.checkpoint, raw: reading.checkpoint } },
    async hashes(published) {
      const hashes = asStored ? published : await reading.hashes(options);
      checkDigests(hashes, layers);
      return hashes;
    },
    close: () => reading.close(),
  };
}

/** A model seen through layers, and what it is made of. */
export interface CheckedStack {
  readonly base: Model;
  readonly layers: readonly WaveLayer[];
  readonly seen: StackedModel;
  readonly folder: string;
}
