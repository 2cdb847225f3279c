import { type Checkpoint, matchTensors, openCheckpoint } from '../checkpoint/index.js';
import { ownersOfParts } from '../coding/index.js';
import { BirdboneError } from '../errors.js';
import { folderOf, openPrunable } from '../model/index.js';
import {
  type History,
  historyAt,
  moved,
  type StateFolder,
  type StateMeasurement,
  sameState,
  type WaveState,
  waveOf,
} from '../state/index.js';
import { refuseTornPlates } from './marks.js';
import { outputForm } from './output-form.js';
import { type NamedState, stateAt } from './reference.js';
import { closeLayers, openLayers } from './session.js';
import { finalModel } from './stack.js';
import { sparsityOfState } from './state-sparsity.js';

/** What a user asks of a rollback. */
export interface RollbackTarget {
  /** The last wave that stays: its number, `dense` for 0, `current`, or a tag. */
  readonly to: number | string;
  /** Only tensors whose names match one of these globs go there; see `tensorGlob`. */
  readonly tensors?: readonly string[];
}

/** What was measured of a state; null where nobody did. */
export type StateFigures = Readonly<Record<string, number>> | null;

/** What a rollback would do. */
export interface RollbackPlan {
  readonly out: string;
  readonly to: number;
  /** The tag that named it. */
  readonly tag?: string;
  /** Of a partial rollback. */
  readonly tensors?: { readonly globs: readonly string[]; readonly matched: number };
  readonly from: WaveState;
  readonly target: WaveState;
  /** Waves that the published model would have; those of them that come back; and those it has now and would lose. */
  readonly stays: readonly number[];
  readonly returns: readonly number[];
  readonly goes: readonly number[];
  /** Tensors that would be at another wave than now. */
  readonly changes: readonly string[];
  readonly sparsity: { readonly now: number; readonly after: number };
  /** Bytes of the tensors in the published folder; now is null when there is none that can be read. */
  readonly weightBytes: { readonly now: number | null; readonly after: number };
  readonly figures: { readonly now: StateFigures; readonly after: StateFigures };
  /** Of the state it leads to, made for this plan. */
  readonly measured?: StateMeasurement;
}

/** Where a rollback leads: the state, and how it came to be named. */
export interface Destination {
  readonly named: NamedState;
  readonly globs: readonly string[] | undefined;
  /** Stored names that the globs match. */
  readonly matched: readonly string[] | undefined;
  readonly target: WaveState;
}

/** The state that a rollback leads to. `checkpoint` gives names and aliases. Throws `usage` for a point or glob without a meaning. */
export function destinationOf(
  { to, tensors: globs }: RollbackTarget,
  past: History,
  { folder, checkpoint }: { readonly folder: StateFolder; readonly checkpoint: Checkpoint },
): Destination {
  const named = stateAt(to, past, folder);
  refuseTornPlates(past, globs);
  const matched = globs === undefined ? undefined : matchedTensors(past, checkpoint, globs);
  const { state: target } = historyAt(past, moved(past.state, named.state, matched));
  return { named, globs, matched, target };
}

/** Names that the globs match, of the base and of what waves have added; a coded weight and its parts go together. */
function matchedTensors(past: History, checkpoint: Checkpoint, globs: readonly string[]): string[] {
  const changed = past.waves.flatMap(({ layers }) => layers.map(({ name }) => name));
  const names = [...new Set([...checkpoint.tensors.keys(), ...changed])].sort();
  const { path, aliases } = checkpoint;
  const tensors = new Map(names.map((name) => [name, undefined]));
  const matched = new Set(matchTensors({ path, aliases, tensors }, globs));
  const owners = ownersOfParts(names);
  const weights = new Set([...matched].flatMap((name) => owners.get(name) ?? []));
  return names.filter((name) => matched.has(name) || weights.has(owners.get(name) ?? ''));
}

/** What going to a destination would change, and what is known of both states. Reads headers and the journal alone. */
export async function planOf(
  past: History,
  { named, globs, matched, target }: Destination,
  { folder, checkpoint }: { readonly folder: StateFolder; readonly checkpoint: Checkpoint },
): Promise<RollbackPlan> {
  const next = historyAt(past, target);
  const [now, after] = [wavesOf(past), wavesOf(next)];
  return {
    out: folder.out,
    to: named.state.wave,
    ...(named.tag !== undefined && { tag: named.tag }),
    ...(globs !== undefined && { tensors: { globs, matched: matched?.length ?? 0 } }),
    from: past.state,
    target,
    stays: after,
    returns: after.filter((wave) => !now.includes(wave)),
    goes: now.filter((wave) => !after.includes(wave)),
    changes: changedTensors(past, target),
    sparsity: {
      now: sparsityOfState(past, checkpoint.tensors).sparsity,
      after: sparsityOfState(next, checkpoint.tensors).sparsity,
    },
    weightBytes: { now: await publishedBytes(folder), after: await bytesThrough(next, folder, checkpoint) },
    figures: { now: figuresOfState(past), after: figuresOfState(next) },
  };
}

/** What was measured of the current state: by its last wave, on the dense model, or of just this mix of waves. */
export function figuresOfState(past: History): StateFigures {
  if (past.state.tensors.length > 0) return measurementOf(past)?.figures ?? null;
  const last = past.waves.findLast(({ active }) => active);
  const figures = last === undefined ? (measurementOf(past) ?? past.baseline)?.figures : last.figures;
  return figures === undefined || Object.keys(figures).length === 0 ? null : figures;
}

/** The last measurement of the current mix of waves. */
export function measurementOf({ measurements, state }: History): StateMeasurement | undefined {
  return measurements.findLast((measured) => sameState(measured.state, state));
}

/** Throws `usage` when a state is no longer the one that was shown. */
export function refuseUnlessShown(state: WaveState, shown: WaveState | undefined): void {
  if (shown === undefined || sameState(state, shown)) return;
  throw new BirdboneError('usage', 'The output has been rolled back, or the tag moved, elsewhere in the meantime.', {
    suggestions: ['Look again at what would change: --dry-run'],
  });
}

function wavesOf({ waves }: History): number[] {
  return waves.filter(({ active }) => active).map(({ wave }) => wave);
}

function changedTensors(past: History, target: WaveState): string[] {
  const [now, after] = [waveOf(past.state), waveOf(target)];
  const names = new Set(
    past.waves.flatMap(({ verdict, layers }) => (verdict === 'committed' ? layers : [])).map(({ name }) => name),
  );
  return [...names].filter((name) => now(name) !== after(name)).sort();
}

async function publishedBytes(folder: StateFolder): Promise<number | null> {
  try {
    const published = await openCheckpoint(folder.out);
    await published.close();
    return bytesOf(published);
  } catch (error) {
    // A result that is gone or damaged is a reason to roll back, not to refuse to.
    if (error instanceof BirdboneError) return null;
    throw error;
  }
}

async function bytesThrough(past: History, folder: StateFolder, base: Checkpoint): Promise<number> {
  const layers = await openLayers(folder, past);
  try {
    if (layers.every(({ plates, values, added }) => plates === undefined && values.size + added.size === 0))
      return bytesOf(base);
    const basePath = past.begin!.base.path;
    const model = await openPrunable(basePath);
    try {
      const from = model.checkpoint.companions === undefined ? await folderOf(basePath) : basePath;
      const form = await outputForm({ past, model: await finalModel(model, layers), folder: from });
      return bytesOf(form.checkpoint);
    } finally {
      await model.checkpoint.close();
    }
  } finally {
    await closeLayers(layers);
  }
}

function bytesOf({ tensors }: Checkpoint): number {
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
