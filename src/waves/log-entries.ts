import type { Step } from '../recipe.js';
import {
  type BlockMonitor,
  type ControlRecord,
  type Effectiveness,
  type EmergencyStop,
  type ForetoldDamage,
  type History,
  historyOf,
  type JournalRecord,
  type PlatesJson,
  type SelectiveRollback,
  type Warning,
  type WaveJournalRecord,
  type WaveState,
  waveOf,
} from '../state/index.js';

interface EntryBase {
  /** Of the journal's record. */
  readonly seq: number;
  /** When it was recorded, ISO 8601. */
  readonly at: string;
}

/** A wave, and what it did to each tensor that it changed: the sparsity before and after. */
export interface WaveEntry extends EntryBase {
  readonly kind: 'wave';
  /** The recipe step that made it. */
  readonly command: Step['do'];
  readonly wave: number;
  readonly target: number;
  readonly sparsity: number;
  readonly verdict: WaveJournalRecord['verdict'];
  readonly active: boolean;
  readonly reason: string;
  readonly figures: Readonly<Record<string, number>>;
  readonly tensors: readonly { readonly name: string; readonly before: number; readonly after: number }[];
  /** Where they apply; see `WaveJournalRecord`. */
  readonly plates?: PlatesJson;
  readonly blocks?: BlockMonitor;
  readonly effectiveness?: Effectiveness;
  readonly foretold?: ForetoldDamage;
  readonly warnings?: readonly Warning[];
  readonly selective?: SelectiveRollback;
  readonly stopped?: EmergencyStop;
  readonly details?: WaveJournalRecord['details'];
}

/** A rollback, and the wave of each tensor that it moved, before and after. */
export interface RollbackEntry extends EntryBase {
  readonly kind: 'rollback';
  readonly command: 'rollback';
  readonly to: number;
  readonly tag?: string;
  readonly globs?: readonly string[];
  /** Where every tensor stood afterwards. */
  readonly state: WaveState;
  readonly tensors: readonly { readonly name: string; readonly before: number; readonly after: number }[];
}

/** A tag that was given, or taken away (`state` is null then). It changes no tensor. */
export interface TagEntry extends EntryBase {
  readonly kind: 'tag';
  readonly command: 'tag';
  readonly name: string;
  readonly state: WaveState | null;
  readonly tensors: readonly never[];
}

/** Something that was done to the run by hand; see `ControlRecord`. Of itself it changes no tensor. */
export interface ControlEntry extends EntryBase, Omit<ControlRecord, 'type' | 'at'> {
  readonly kind: 'control';
  readonly command: 'control';
  readonly tensors: readonly never[];
}

export type LogEntry = WaveEntry | RollbackEntry | TagEntry | ControlEntry;

/** Waves, rollbacks, tags and what was done by hand, in the order in which they were recorded. Pure. */
export function logEntries(records: readonly JournalRecord[], history: History): LogEntry[] {
  const entries: LogEntry[] = [];
  const sparsity = new Map<string, number>();
  for (const [index, record] of records.entries()) {
    const base = { seq: record.seq, at: record.at };
    if (record.type === 'wave') entries.push({ ...base, ...waveEntry(record, sparsity, history) });
    if (record.type === 'rollback') entries.push({ ...base, ...rollbackEntry(record, records.slice(0, index + 1)) });
    if (record.type === 'tag' || record.type === 'untag')
      entries.push({ ...base, ...tagEntry(record, records.slice(0, index + 1)) });
    if (record.type === 'control') entries.push({ ...base, ...controlEntry(record) });
  }
  return entries;
}

/** `sparsity` is that of each tensor before the wave, and after it when the wave was kept. */
function waveEntry(
  record: JournalRecord,
  sparsity: Map<string, number>,
  history: History,
): Omit<WaveEntry, keyof EntryBase> {
  const wave = record as unknown as WaveJournalRecord;
  const { target, verdict, reason, figures } = wave;
  const tensors = wave.layers
    .map(({ name, sparsity: after }) => ({ name, before: sparsity.get(name) ?? 0, after }))
    .filter(({ before, after }) => before !== after);
  if (verdict === 'committed') for (const { name, after } of tensors) sparsity.set(name, after);
  const active = history.waves.find((found) => found.wave === wave.wave)?.active ?? false;
  const command = history.begin?.recipe.steps[wave.step]?.do ?? 'prune';
  const what = { kind: 'wave', command, wave: wave.wave, target, sparsity: wave.sparsity } as const;
  return { ...what, verdict, active, reason, figures, tensors, ...detailsOf(wave) };
}

/** What not every wave has. */
function detailsOf(wave: WaveJournalRecord) {
  const { plates, blocks, effectiveness, foretold, warnings, selective, stopped, details } = wave;
  return {
    ...(plates && { plates }),
    ...(blocks && { blocks }),
    ...(effectiveness && { effectiveness }),
    ...(foretold && { foretold }),
    ...(warnings && { warnings }),
    ...(selective && { selective }),
    ...(stopped && { stopped }),
    ...(details && { details }),
  };
}

function rollbackEntry(record: JournalRecord, upTo: readonly JournalRecord[]): Omit<RollbackEntry, keyof EntryBase> {
  const [before, after] = [historyOf(upTo.slice(0, -1)), historyOf(upTo)];
  const [was, is] = [waveOf(before.state), waveOf(after.state)];
  const names = new Set(after.waves.flatMap(({ layers }) => layers.map(({ name }) => name)));
  const tensors = [...names].map((name) => ({ name, before: was(name), after: is(name) }));
  const { tag, globs } = record as { tag?: string; globs?: readonly string[] };
  return {
    kind: 'rollback',
    command: 'rollback',
    to: record['to'] as number,
    ...(tag !== undefined && { tag }),
    ...(globs !== undefined && { globs }),
    state: after.state,
    tensors: tensors.filter((tensor) => tensor.before !== tensor.after),
  };
}

function tagEntry(record: JournalRecord, upTo: readonly JournalRecord[]): Omit<TagEntry, keyof EntryBase> {
  const name = record['name'] as string;
  const state = historyOf(upTo).tags.find((tag) => tag.name === name)?.state ?? null;
  return { kind: 'tag', command: 'tag', name, state, tensors: [] };
}

function controlEntry(record: JournalRecord): Omit<ControlEntry, keyof EntryBase> {
  const { action, wave, step, target, by } = record as unknown as ControlRecord;
  const meant = { ...(step !== undefined && { step }), ...(target !== undefined && { target }) };
  return { kind: 'control', command: 'control', action, wave, ...meant, by, tensors: [] };
}
