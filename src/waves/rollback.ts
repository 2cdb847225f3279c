import { existsSync } from 'node:fs';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import {
  type History,
  historyAt,
  historyOf,
  Journal,
  lock,
  type StateFolder,
  type StateMeasurement,
  sameState,
  settlePublication,
  stateFolder,
  verifyLayers,
  type WaveState,
} from '../state/index.js';
import { type Base, openBase, openLikeness } from './base.js';
import { publishStack } from './evidence.js';
import { destinationOf, planOf, type RollbackPlan, type RollbackTarget, refuseUnlessShown } from './impact.js';
import { type MeasureOptions, measureState } from './measure-state.js';
import { noHistory, type OutputName, readPast, refuseCollected } from './past.js';
import { stateAt } from './reference.js';
import type { RunResult } from './settings.js';

/** Which output to take back, and how far. */
export interface RollbackOptions extends OutputName, RollbackTarget {
  /** The state that the user was shown and agreed to leave; when it is another by now, nothing is done. */
  readonly from?: WaveState;
  /** The state that the user agreed to go to, likewise: a tag may have been moved. */
  readonly target?: WaveState;
  /** Figures of the state it leads to, as `planRollback` measured them; recorded with the rollback. */
  readonly measured?: StateMeasurement;
  readonly diffs?: string;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Publishes the output again with only the waves up to `to`, or with some tensors as they were then, from the base model and the
 * layers in the state folder. Goes forward too, as long as `gc` has not removed the later layers. Throws `usage` for a state or
 * tensors that do not exist, `mismatch` when the base model or a layer has changed; nothing is changed then.
 */
export async function rollbackTo(options: RollbackOptions): Promise<RunResult> {
  const folder = stateFolder(options.out, options.state);
  if (!existsSync(folder.journal)) throw noHistory(folder);
  const release = await lock(folder.root);
  try {
    const journal = await Journal.open(folder.journal, { repair: true });
    await settlePublication(folder, journal);
    const past = historyOf(journal.records);
    refuseUnlessDone(past, folder);
    refuseUnlessShown(past.state, options.from);
    stateAt(options.to, past, folder);
    const base = await openBase(past, folder, watchOf(options));
    try {
      await goThere(options, { folder, journal, past, base });
      return await publishStack({
        folder,
        journal,
        base,
        report: options.report ?? silent,
        signal: options.signal,
        diffs: options.diffs,
      });
    } finally {
      await base.model.checkpoint.close();
    }
  } finally {
    await release();
  }
}

export interface PlanOptions extends OutputName, RollbackTarget {
  /** Measure the state it leads to, when nobody has: for a mix of waves. */
  readonly measure?: MeasureOptions;
}

/**
 * What `rollbackTo` would publish. Writes nothing, and throws as it does; neither the base model nor the layers are hashed unless
 * they are measured.
 */
export async function planRollback(options: PlanOptions): Promise<RollbackPlan> {
  const { folder, history: past } = await readPast(options);
  refuseUnlessDone(past, folder);
  stateAt(options.to, past, folder);
  const checkpoint = await openLikeness(past, folder);
  try {
    const destination = destinationOf(options, past, { folder, checkpoint });
    const next = historyAt(past, destination.target);
    refuseCollected(next, folder);
    const plan = await planOf(past, destination, { folder, checkpoint });
    if (options.measure === undefined || plan.figures.after !== null) return plan;
    const measured = await measureNext(past, next, { folder, options: options.measure });
    return { ...plan, figures: { ...plan.figures, after: measured.figures }, measured };
  } finally {
    await checkpoint.close();
  }
}

async function measureNext(
  past: History,
  next: History,
  { folder, options }: { readonly folder: StateFolder; readonly options: MeasureOptions },
): Promise<StateMeasurement> {
  const base = await openBase(past, folder, watchOf(options));
  try {
    return await measureState(next, { folder, base }, options);
  } finally {
    await base.model.checkpoint.close();
  }
}

interface Rollback {
  readonly folder: StateFolder;
  readonly journal: Journal;
  readonly past: History;
  readonly base: Base;
}

/** Makes sure that the journal's next state can be made, and records it: from here on a crash leads to it. */
async function goThere(options: RollbackOptions, { folder, journal, past, base }: Rollback): Promise<void> {
  const { checkpoint } = base.model;
  const { named, globs, target } = destinationOf(options, past, { folder, checkpoint });
  refuseUnlessShown(target, options.target);
  const next = historyAt(past, target);
  refuseCollected(next, folder);
  await verifyLayers(
    folder,
    next.waves.filter(({ active }) => active),
  );
  // Before the rollback, so that whoever finishes it after a crash publishes the figures too.
  const { measured } = options;
  if (measured !== undefined && sameState(measured.state, target))
    await journal.append({ type: 'measured', ...measured });
  await journal.append({
    type: 'rollback',
    to: named.state.wave,
    ...(named.tag !== undefined && { tag: named.tag }),
    ...(globs !== undefined && { globs }),
    state: target,
  });
}

function refuseUnlessDone(past: History, folder: StateFolder): void {
  if (past.begin === undefined) throw noHistory(folder);
  if (past.finished !== undefined) return;
  throw new BirdboneError('usage', `The run for ${folder.out} is not finished.`, {
    suggestions: ['Finish it first: --resume'],
  });
}

function watchOf({ report, signal }: Pick<RollbackOptions, 'report' | 'signal'>) {
  return { ...(report && { report }), ...(signal && { signal }) };
}
