import path from 'node:path';
import { openCheckpoint, writeFileDurably } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type HashOptions, hashCheckpoint, readConfig } from './hash.js';
import { createManifest, findManifest, MANIFEST_FILE, type Manifest, manifestText } from './manifest.js';

export interface RecordOptions extends HashOptions {
  /** Of birdbone. */
  readonly version: string;
  /** Say what would be recorded, and write nothing. */
  readonly dryRun?: boolean;
}

export interface RecordedHashes {
  readonly folder: string;
  readonly weights: string;
  readonly metadata: string;
  /** What happened to birdbone.json, or would. */
  readonly manifest: 'created' | 'updated' | 'unchanged';
}

/**
 * Makes a folder's birdbone.json say what its weights are now. How they came to be (recipe, base, measurements) stays only
 * where the weights are still those it was written about. Throws `usage` for a lone file, which has no place for a manifest.
 */
export async function recordHashes(folder: string, options: RecordOptions): Promise<RecordedHashes> {
  const checkpoint = await openCheckpoint(folder);
  try {
    const hashes = await hashCheckpoint(checkpoint, options);
    const before = await manifestOf(folder);
    const { weights, metadata } = hashes;
    const recorded = { folder, weights, metadata };
    if (before?.weights === weights && before.metadata === metadata) return { ...recorded, manifest: 'unchanged' };
    const manifest = createManifest({
      ...(before?.weights === weights && provenanceOf(before)),
      ...architectureOf(await readConfig(folder)),
      hashes,
      version: options.version,
    });
    if (!options.dryRun) await writeFileDurably(path.join(folder, MANIFEST_FILE), manifestText(manifest));
    return { ...recorded, manifest: before === undefined ? 'created' : 'updated' };
  } finally {
    await checkpoint.close();
  }
}

async function manifestOf(folder: string): Promise<Manifest | undefined> {
  if (!folder.endsWith('.safetensors')) return (await findManifest(folder))?.manifest;
  throw new BirdboneError('usage', `${folder} is a file; a manifest lies in a model's folder.`, {
    suggestions: [`birdbone hash ${path.dirname(folder)} --update`],
  });
}

function provenanceOf({ base, recipe, seed, versions, measured, waves, mixed }: Manifest) {
  return {
    ...(base && { base }),
    ...(recipe && { recipe }),
    ...(seed !== undefined && { seed }),
    ...(versions && { versions }),
    ...(measured && { measured }),
    ...(waves && { waves }),
    ...(mixed && { mixed }),
  };
}

function architectureOf(config: unknown): { architecture?: string } {
  const type = (config as { model_type?: unknown } | undefined)?.model_type;
  return typeof type === 'string' ? { architecture: type } : {};
}
