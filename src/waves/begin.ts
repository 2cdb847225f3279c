import { existsSync } from 'node:fs';
import { realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { findManifest, hashCheckpoint, type WeightHashes } from '../manifest/index.js';
import { paceOf } from '../recipe.js';
import {
  type BeginRecord,
  checkRoom,
  type History,
  historyOf,
  Journal,
  manifestDigest,
  refuseForeignFiles,
  type StateFolder,
  settlePublication,
  verifyLayers,
} from '../state/index.js';
import { ObjectStore } from '../store/index.js';
import type { Device } from '../tensor/index.js';
import { VERSION } from '../version.js';
import type { Inputs } from './inputs.js';
import type { Known } from './known.js';
import { wavesAtBest } from './plan-waves.js';
import { referenceRecord } from './reference-model.js';
import type { RunOptions } from './settings.js';
import { layerBytes, replacedBytes, sizesOf } from './sizes.js';

/** A run's journal, and what has been found of its base. */
export interface Begun {
  readonly journal: Journal;
  readonly known: Known;
}

/**
 * Opens the journal of this output and makes sure that it tells of this run: a new one, or the interrupted one that is to go
 * on. Call it with the lock held. Throws `usage` when something else is there, and `mismatch` when base, texts or layers are not
 * those of the run that is to go on.
 */
export async function beginOrResume(
  folder: StateFolder,
  inputs: Inputs,
  device: Device,
  options: RunOptions,
): Promise<Begun> {
  const journal = await readableJournal(folder, { restart: options.restart === true, repair: true });
  await settlePublication(folder, journal);
  const past = historyOf(journal.records);
  const goesOn = past.begin !== undefined && options.resume === true;
  if (!goesOn) await checkPlace(folder, past, { model: inputs.recipe.model, restart: options.restart === true });
  const watch = {
    ...(options.report && { report: options.report }),
    ...(options.signal && { signal: options.signal }),
  };
  const base = await hashCheckpoint(inputs.model.checkpoint, watch);
  const known = { store: new ObjectStore(folder.objects), base: base.tensors, differences: new Map() };
  const reference = await referenceRecord(inputs, watch);
  const replaces = goesOn ? undefined : await manifestDigest(folder.out);
  const record = beginRecord(inputs, device, { base, reference, replaces });
  if (goesOn) {
    checkSame(past.begin!, record);
    await verifyLayers(
      folder,
      past.waves.filter((wave) => wave.active),
    );
    return { journal, known };
  }
  await checkRoom(path.dirname(folder.out), neededBytes(inputs));
  const fresh = await Journal.begin(folder.journal, { ...record });
  await forget(folder);
  return { journal: fresh, known };
}

function beginRecord(
  inputs: Inputs,
  device: Device,
  {
    base,
    reference,
    replaces,
  }: {
    readonly base: WeightHashes;
    readonly reference: BeginRecord['reference'];
    readonly replaces: string | undefined;
  },
): BeginRecord {
  return {
    type: 'begin',
    recipe: inputs.recipe,
    device: device.name,
    version: VERSION,
    gate: inputs.gate.text,
    versions: { node: process.version, device: device.description },
    base: { path: path.resolve(inputs.recipe.model), weights: base.weights, metadata: base.metadata },
    ...(reference && { reference }),
    ...(inputs.calibration && { calibration: inputs.calibration.source }),
    ...(inputs.evaluation && { evaluation: inputs.evaluation.source }),
    ...(replaces !== undefined && { replaces }),
  };
}

/** Throws `usage` unless a new run may put its state and its result here. */
export async function checkPlace(
  folder: StateFolder,
  past: History,
  { model, restart }: { readonly model: string; readonly restart: boolean },
): Promise<void> {
  if (past.begin !== undefined && past.finished === undefined && !restart) throw interruptedRun(folder);
  await refuseForeignFiles(folder);
  if (!existsSync(folder.out)) return;
  const [base, out] = [await realpath(model), await realpath(folder.out)];
  if (base === out || base.startsWith(out + path.sep)) throw alreadyThere(folder);
  if (!restart || !(past.begin !== undefined || (await isResult(folder.out)))) throw alreadyThere(folder);
}

/** Whether a run made this folder: what is left to go by when its journal is damaged, or a crash came before the new one. */
async function isResult(out: string): Promise<boolean> {
  if ((await manifestDigest(out)) === undefined) return false;
  return (await findManifest(out))?.manifest.waves !== undefined;
}

/** The result, and a layer for every wave that the recipe plans. */
function neededBytes({ recipe, model, edits }: Inputs): number {
  const sizes = sizesOf(model);
  const sparsity = Math.max(...edits.map(({ target }) => target));
  const waves = recipe.steps.map((step, index) => wavesAtBest(paceOf(step), edits[index]!.target).length);
  const replaced = replacedBytes(model, edits, waves);
  return sizes.bytes + layerBytes(sizes, { waves: waves.reduce((sum, count) => sum + count, 0), sparsity, replaced });
}

/**
 * The journal of a state folder, of records that this version can fold. One that is damaged, or that a newer version wrote, is
 * what a restart is for: it counts as empty then, and stays where it is until the new run has passed every check. Throws as
 * `Journal.open` and `historyOf` otherwise.
 */
export async function readableJournal(
  folder: StateFolder,
  { restart, repair }: { readonly restart: boolean; readonly repair: boolean },
): Promise<Journal> {
  try {
    const journal = await Journal.open(folder.journal, { repair });
    historyOf(journal.records);
    return journal;
  } catch (error) {
    if (!(error instanceof BirdboneError) || !restart) throw error;
    return Journal.empty(folder.journal);
  }
}

/**
 * Removes what an earlier run kept, once the new journal has taken the place of its own: objects that no journal speaks of are
 * nothing, a journal without its objects would be a lie.
 */
async function forget(folder: StateFolder): Promise<void> {
  await rm(folder.objects, { recursive: true, force: true });
  await rm(folder.spill, { recursive: true, force: true });
  await rm(folder.progress, { recursive: true, force: true });
}

function checkSame(begin: BeginRecord, now: BeginRecord): void {
  const difference = firstDifference(begin.recipe, now.recipe, '');
  if (difference !== undefined) {
    throw new BirdboneError('usage', `The interrupted run had another recipe: ${difference}.`, {
      suggestions: ['Resume with the same flags as before.', 'Begin anew with these: --restart'],
    });
  }
  if (begin.device !== now.device) {
    throw new BirdboneError('usage', `The interrupted run used the device ${begin.device}; this is ${now.device}.`, {
      suggestions: [`Resume with --device ${begin.device}.`],
    });
  }
  const makers = [begin, now].map(({ version, versions }) => ({ birdbone: version, ...versions }));
  const maker = firstDifference(makers[0], makers[1], '');
  if (maker !== undefined) {
    throw new BirdboneError('usage', `The interrupted run was computed by something else, to the last bit: ${maker}.`, {
      suggestions: ['Resume with the same versions on the same kind of machine.', 'Begin anew with these: --restart'],
    });
  }
  for (const text of ['calibration', 'evaluation'] as const) {
    if (begin[text]?.sha256 !== now[text]?.sha256) throw changed(`The ${text} text ${begin[text]?.name}`);
  }
  if (!isSameModel(begin.base, now.base)) throw changed(`The model at ${now.recipe.model}`);
  if (!isSameModel(begin.reference, now.reference)) throw changed(`The model at ${now.recipe.reference}`);
}

function isSameModel(before: Partial<BeginRecord['base']> = {}, now: Partial<BeginRecord['base']> = {}): boolean {
  return before.weights === now.weights && before.metadata === now.metadata;
}

function changed(what: string): BirdboneError {
  return new BirdboneError('mismatch', `${what} has changed since the run began.`, {
    suggestions: ['Restore it as it was, or begin anew: --restart'],
  });
}

/** The first field in which two recipes differ, in words. */
function firstDifference(before: unknown, now: unknown, at: string): string | undefined {
  if (typeof before !== 'object' || typeof now !== 'object' || before === null || now === null) {
    return before === now ? undefined : `${at} was ${JSON.stringify(before)}, now it is ${JSON.stringify(now)}`;
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  for (const key of keys) {
    const [left, right] = [before, now].map((value) => (value as Record<string, unknown>)[key]);
    const difference = firstDifference(left, right, at === '' ? key : `${at}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function interruptedRun(folder: StateFolder): BirdboneError {
  return new BirdboneError('usage', `An interrupted run for ${folder.out} is in ${folder.root}.`, {
    suggestions: ['Go on with it: --resume', 'Begin anew: --restart'],
  });
}

function alreadyThere(folder: StateFolder): BirdboneError {
  return new BirdboneError('usage', `${folder.out} exists already.`, {
    suggestions: [
      'Choose another --out.',
      'Replace what an earlier run of birdbone left there: --restart',
      'Remove it yourself.',
    ],
  });
}
