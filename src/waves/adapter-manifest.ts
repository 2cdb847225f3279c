import path from 'node:path';
import { openCheckpoint } from '../checkpoint/index.js';
import { createManifest, type HashOptions, hashCheckpoint, manifestText } from '../manifest/index.js';
import { folderOf, type Model } from '../model/index.js';
import { manifestDigest } from '../state/index.js';
import type { Device } from '../tensor/index.js';
import { VERSION } from '../version.js';
import type { Inputs } from './inputs.js';
import type { AdapterOptions, AdapterResult } from './write-adapter.js';

/** What an adapter was made from, and what it came to. */
export interface MadeAdapter {
  /** Where its files lie as long as its folder is not in its place. */
  readonly folder: string;
  /** The compressed model. */
  readonly model: Model;
  readonly texts: Pick<Inputs, 'calibration' | 'evaluation'>;
  readonly device: Device;
  readonly result: Omit<AdapterResult, 'out' | 'rank' | 'bytes' | 'manifest'>;
}

/**
 * The birdbone.json of an adapter: digests of its tensors, of the compressed model that it is for and of both texts, and the figures of
 * the model before compression, compressed and corrected. It is what `verify` holds the folder against. Nothing is journaled: an adapter
 * is written whole or not at all.
 */
export async function adapterManifest(
  { folder, model, texts, device, result }: MadeAdapter,
  { recipe, base, rank, report, signal }: AdapterOptions,
): Promise<string> {
  const watch: HashOptions = { ...(report && { report }), ...(signal && { signal }) };
  const compressed = await digestsOf(recipe.model, watch);
  const { context, protocol } = recipe.evaluation;
  const manifest = createManifest({
    hashes: await hashesOf(folder, watch),
    version: VERSION,
    architecture: model.decoder.architecture,
    base: { name: recipe.model, ...compressed },
    recipe: {
      ...recipe,
      reference: path.basename(path.resolve(base)),
      steps: result.healing === undefined ? [{ do: 'factorize', format: 'adapter', rank }] : recipe.steps,
    },
    seed: recipe.seed,
    versions: { node: process.version, device: device.description },
    measured: {
      protocol,
      context,
      data: texts.evaluation!.source,
      ...(texts.calibration && { calibration: texts.calibration.source }),
      baseline: { ...result.base },
      result: figuresOf(result),
      gate: { limits: 'kl below that of the compressed model', pass: true, reason: 'it is nearer to the model before' },
    },
  });
  return manifestText(manifest);
}

/** The corrected model's figures, and the compressed one's beside them. */
function figuresOf({ compressed, corrected }: MadeAdapter['result']): Record<string, number> {
  return {
    ...corrected,
    compressedPerplexity: compressed.perplexity,
    compressedAccuracy: compressed.accuracy,
    ...(compressed.kl !== undefined && { compressedKl: compressed.kl }),
  };
}

async function digestsOf(at: string, watch: HashOptions) {
  const { weights, metadata } = await hashesOf(at, watch);
  const manifest = await manifestDigest(await folderOf(at));
  return { weights, metadata, ...(manifest !== undefined && { manifest }) };
}

async function hashesOf(at: string, watch: HashOptions) {
  const checkpoint = await openCheckpoint(at);
  try {
    return await hashCheckpoint(checkpoint, watch);
  } finally {
    await checkpoint.close();
  }
}
