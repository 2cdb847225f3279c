import { existsSync } from 'node:fs';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { hashCheckpoint } from '../manifest/index.js';
import { openModel } from '../model/index.js';
import {
  historyOf,
  Journal,
  layerFile,
  lock,
  type StateFolder,
  settlePublication,
  stateFolder,
  verifyLayers,
} from '../state/index.js';
import { publishStack } from './evidence.js';
import type { RunResult } from './settings.js';

/** Which output to take back, and how far. */
export interface RollbackOptions {
  readonly out: string;
  /** The last wave that stays; 0 goes back to the dense model. */
  readonly to: number;
  readonly state?: string;
  readonly diffs?: string;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Publishes the output again with only the waves up to `to`, from the base model and the layers in the state folder. Goes
 * forward too, as long as `gc` has not removed the later layers. Throws `mismatch` when the base model or a layer has changed.
 */
export async function rollbackTo(options: RollbackOptions): Promise<RunResult> {
  const folder = stateFolder(options.out, options.state);
  if (!existsSync(folder.journal)) throw noHistory(folder);
  const release = await lock(folder.root);
  try {
    const journal = await Journal.open(folder.journal, { repair: true });
    await settlePublication(folder, journal);
    const past = historyOf(journal.records);
    if (past.begin === undefined) throw noHistory(folder);
    if (past.finished === undefined) {
      throw new BirdboneError('usage', `The run for ${folder.out} is not finished.`, {
        suggestions: ['Finish it first: --resume'],
      });
    }
    checkTarget(options.to, past.waves, folder);
    const model = await openModel(past.begin.base.path);
    try {
      await checkBase(model.checkpoint, past.begin.base, options);
      await verifyLayers(
        folder,
        past.waves.filter((wave) => wave.verdict === 'committed' && wave.wave <= options.to),
      );
      await journal.append({ type: 'rollback', to: options.to });
      return await publishStack({
        folder,
        journal,
        model,
        report: options.report ?? silent,
        signal: options.signal,
        diffs: options.diffs,
      });
    } finally {
      await model.checkpoint.close();
    }
  } finally {
    await release();
  }
}

/** What a rollback would do. */
export interface RollbackPlan {
  readonly out: string;
  readonly to: number;
  /** Waves that the published model would have, and those it has now and would lose. */
  readonly stays: readonly number[];
  readonly goes: readonly number[];
}

/** What `rollbackTo` would publish. Reads only, and throws as it does; the base model is not hashed. */
export async function planRollback(options: Pick<RollbackOptions, 'out' | 'to' | 'state'>): Promise<RollbackPlan> {
  const folder = stateFolder(options.out, options.state);
  if (!existsSync(folder.journal)) throw noHistory(folder);
  const { waves } = historyOf((await Journal.open(folder.journal, { repair: false })).records);
  checkTarget(options.to, waves, folder);
  const committed = waves.filter((wave) => wave.verdict === 'committed');
  return {
    out: folder.out,
    to: options.to,
    stays: committed.filter(({ wave }) => wave <= options.to).map(({ wave }) => wave),
    goes: waves.filter(({ wave, active }) => active && wave > options.to).map(({ wave }) => wave),
  };
}

function checkTarget(
  to: number,
  waves: readonly { readonly wave: number; readonly verdict: string }[],
  folder: StateFolder,
): void {
  const last = waves.at(-1)?.wave ?? 0;
  if (!Number.isInteger(to) || to < 0 || to > last) {
    throw new BirdboneError(
      'usage',
      `There is no wave ${to}; this run has waves 1 to ${last}, and 0 is the dense model.`,
      {
        suggestions: [`See them: birdbone log ${folder.out}`],
      },
    );
  }
  const needed = waves.filter((wave) => wave.wave <= to && wave.verdict === 'committed');
  const gone = needed.find((wave) => !existsSync(path.join(folder.layers, layerFile(wave.wave))));
  if (gone !== undefined) {
    throw new BirdboneError(
      'usage',
      `The layer of wave ${gone.wave} was removed by gc; the run cannot go back to ${to}.`,
      {
        suggestions: [`See what is left: birdbone log ${folder.out}`],
      },
    );
  }
}

async function checkBase(
  checkpoint: Parameters<typeof hashCheckpoint>[0],
  base: { readonly path: string; readonly weights: string },
  options: RollbackOptions,
): Promise<void> {
  const now = await hashCheckpoint(checkpoint, {
    ...(options.report && { report: options.report }),
    ...(options.signal && { signal: options.signal }),
  });
  if (now.weights !== base.weights) {
    throw new BirdboneError(
      'mismatch',
      `The base model at ${base.path} has changed since the run; its layers do not fit it.`,
      {
        suggestions: ['Restore the base model and try again.'],
      },
    );
  }
}

export function noHistory(folder: StateFolder): BirdboneError {
  return new BirdboneError('usage', `There is no history of ${folder.out}: ${folder.journal} does not exist.`, {
    suggestions: ['Name the output folder of a prune.', 'If its state was put elsewhere, say where: --state DIR'],
  });
}
