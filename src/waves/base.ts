import { existsSync } from 'node:fs';
import { type Checkpoint, openCheckpoint } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type HashOptions, hashCheckpoint } from '../manifest/index.js';
import { folderOf, type Model, openComparable, openPrunable } from '../model/index.js';
import { outputFormat } from '../recipe.js';
import { type BeginRecord, type History, historyAt, manifestDigest, type StateFolder } from '../state/index.js';
import { hasPlates } from './marks.js';
import { openFromPublished } from './published-base.js';

/** The dense model that an output's layers lie over. */
export interface Base {
  readonly model: Model;
  /** What it was opened from, or made again from. */
  readonly path: string;
  /** Whose config, tokenizer and other files go with the weights; the file itself for a GGUF. */
  readonly folder: string;
  /** Digest of the base's own birdbone.json, if it had one. */
  readonly manifest: string | undefined;
}

/**
 * Opens the base model of a run, byte for byte the one that the run began with: from its path or, when it is gone or has changed,
 * from what the run has published and can be undone. The caller closes `model.checkpoint`. Throws what is wrong with the base
 * (`unreadable`, `unsupported`, `mismatch`) when the published output does not give it back either.
 */
export async function openBase(past: History, folder: StateFolder, watch: HashOptions): Promise<Base> {
  try {
    return await openFromPath(past.begin!, watch);
  } catch (lost) {
    if (!(lost instanceof BirdboneError) || lost.code === 'interrupted') throw lost;
    const base = await openFromPublished(past, folder, { watch, lost });
    watch.report?.({ type: 'notice', message: `${lost.message} It is made again from ${folder.out}.` });
    return base;
  }
}

async function openFromPath({ base }: BeginRecord, watch: HashOptions): Promise<Base> {
  const model = await openPrunable(base.path);
  try {
    await refuseChanged(model, base, watch);
    return await baseOf(model, base.path);
  } catch (error) {
    await model.checkpoint.close();
    throw error;
  }
}

/** A base model that is known to be the run's own, opened from `path`. */
export async function baseOf(model: Model, path: string): Promise<Base> {
  // A GGUF holds config and tokenizer inside; what else lies in its folder is not its own.
  const folder = model.checkpoint.companions === undefined ? await folderOf(path) : path;
  return { model, path, folder, manifest: await manifestDigest(folder) };
}

async function refuseChanged(model: Model, base: BeginRecord['base'], watch: HashOptions): Promise<void> {
  const { weights } = await hashCheckpoint(model.checkpoint, watch);
  if (weights === base.weights) return;
  throw new BirdboneError(
    'mismatch',
    `The base model at ${base.path} has changed since the run; its layers do not fit it.`,
    { file: base.path, suggestions: ['Restore the base model and try again.'] },
  );
}

/**
 * A checkpoint with the names, shapes and aliases of the base, whatever its bytes are: the base itself or, where it cannot be
 * read, what the run has published, unless that has other shapes or another form. The caller closes it. Throws what opening the base throws when
 * there is neither.
 */
export async function openLikeness(past: History, folder: StateFolder): Promise<Checkpoint> {
  try {
    return await openComparable(past.begin!.base.path);
  } catch (error) {
    const isOther = outputFormat(past.begin!.recipe) !== 'native' || isCut(past);
    if (!(error instanceof BirdboneError) || !existsSync(folder.out) || isOther) throw error;
    return await openCheckpoint(folder.out);
  }
}

/** Whether what is published has shed plates. */
function isCut(past: History): boolean {
  return past.published !== undefined && hasPlates(historyAt(past, past.published));
}
