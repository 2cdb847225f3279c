import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { hashCheckpoint } from '../manifest/index.js';
import type { Recipe } from '../recipe.js';
import {
  type BeginRecord,
  checkRoom,
  historyOf,
  Journal,
  type StateFolder,
  settlePublication,
} from '../state/index.js';
import type { Device } from '../tensor/index.js';
import { VERSION } from '../version.js';
import type { Inputs } from './inputs.js';
import type { RunOptions } from './settings.js';
import { layerBytes, sizesOf } from './sizes.js';

/**
 * Opens the journal of this output and makes sure that it tells of this run: a new one, or the interrupted one that is to go
 * on. Call it with the lock held. Throws `usage` when something else is there, `mismatch` when the base has changed.
 */
export async function beginOrResume(
  folder: StateFolder,
  inputs: Inputs,
  device: Device,
  options: RunOptions,
): Promise<Journal> {
  let journal = await openJournal(folder, options);
  await settlePublication(folder, journal);
  const past = historyOf(journal.records);
  if (past.begin !== undefined && !options.restart && !options.resume) {
    if (past.finished === undefined) throw interruptedRun(folder);
    if (existsSync(folder.out)) throw alreadyThere(folder);
  }
  const goesOn = past.begin !== undefined && options.resume === true;
  if (!goesOn) {
    if (existsSync(folder.out) && !(options.restart && past.begin !== undefined)) throw alreadyThere(folder);
    await forget(folder);
    journal = await Journal.open(folder.journal, { repair: true });
  }
  const base = await hashCheckpoint(inputs.model.checkpoint, {
    ...(options.report && { report: options.report }),
    ...(options.signal && { signal: options.signal }),
  });
  if (goesOn) {
    checkSame(past.begin!, { recipe: inputs.recipe, device, weights: base.weights });
    return journal;
  }
  await checkRoom(path.dirname(folder.out), neededBytes(inputs));
  await mkdir(folder.layers, { recursive: true });
  const record: BeginRecord = {
    type: 'begin',
    recipe: inputs.recipe,
    device: device.name,
    version: VERSION,
    gate: inputs.gate.text,
    versions: { node: process.version, device: device.description },
    base: { path: path.resolve(inputs.recipe.model), weights: base.weights, metadata: base.metadata },
    ...(inputs.calibration && { calibration: inputs.calibration.source }),
    ...(inputs.evaluation && { evaluation: inputs.evaluation.source }),
  };
  await journal.append({ ...record });
  return journal;
}

/** The result, and a layer for every wave that the recipe plans. */
function neededBytes({ recipe, model }: Inputs): number {
  const sizes = sizesOf(model);
  const waves = recipe.steps.reduce((sum, step) => sum + step.waves, 0);
  return sizes.bytes + waves * layerBytes(sizes);
}

async function openJournal(folder: StateFolder, options: RunOptions): Promise<Journal> {
  try {
    return await Journal.open(folder.journal, { repair: true });
  } catch (error) {
    if (!(error instanceof BirdboneError) || options.restart !== true) throw error;
    // A damaged journal is what --restart is for.
    await rm(folder.journal, { force: true });
    return Journal.open(folder.journal, { repair: true });
  }
}

/** Empties the state folder but for the lock that this process holds. */
async function forget(folder: StateFolder): Promise<void> {
  // The journal goes first: layers without a journal are nothing, a journal without its layers would be a lie.
  await rm(folder.journal, { force: true });
  await rm(folder.layers, { recursive: true, force: true });
  await rm(folder.spill, { recursive: true, force: true });
}

function checkSame(begin: BeginRecord, now: { recipe: Recipe; device: Device; weights: string }): void {
  const difference = firstDifference(begin.recipe, now.recipe, '');
  if (difference !== undefined) {
    throw new BirdboneError('usage', `The interrupted run had another recipe: ${difference}.`, {
      suggestions: ['Resume with the same flags as before.', 'Begin anew with these: --restart'],
    });
  }
  if (begin.device !== now.device.name) {
    throw new BirdboneError(
      'usage',
      `The interrupted run used the device ${begin.device}; this is ${now.device.name}.`,
      {
        suggestions: [`Resume with --device ${begin.device}.`],
      },
    );
  }
  if (begin.base.weights !== now.weights) {
    throw new BirdboneError('mismatch', `The model at ${now.recipe.model} has changed since the run began.`, {
      suggestions: ['Restore the model, or begin anew: --restart'],
    });
  }
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
