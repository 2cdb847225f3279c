import { matchTensors } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type History, isWhole, type JournalRecord, type WaveJournalRecord } from '../state/index.js';
import { type LogEntry, logEntries } from './log-entries.js';
import { type OutputName, readPast } from './past.js';

/** What happened to an output. */
export interface Log {
  readonly out: string;
  readonly state: string;
  /** running: not finished (interrupted, unless a process has it); failed: no wave was kept. */
  readonly status: 'running' | 'published' | 'failed' | 'rolled-back' | 'unpublished';
  readonly history: History;
  /** Waves, rollbacks and tags as they came: those that the filter lets through. */
  readonly entries: readonly LogEntry[];
  /** The records of the journal, all of them or those of the entries that were asked for: the audit log. */
  readonly records: readonly JournalRecord[];
}

/** Which entries of a log to give; all by default. */
export interface LogFilter {
  /** Only what changed tensors whose names match one of these globs. */
  readonly tensors?: readonly string[];
  readonly command?: LogEntry['command'];
  /** Only waves that the gate kept, or that it rolled back. */
  readonly verdict?: WaveJournalRecord['verdict'];
  /** Only what was recorded at this time or later, as an ISO 8601 date or time. */
  readonly since?: string;
  /** Only the last so many. */
  readonly limit?: number;
}

/**
 * What happened to an output, from its journal. Reads only; works while a run is under way. Throws `usage` for an output without
 * a history, and for a filter that can let nothing through: a glob without a tensor, a time that is none.
 */
export async function readLog({ out, state, ...filter }: OutputName & LogFilter): Promise<Log> {
  const { folder, records, history } = await readPast({ out, ...(state !== undefined && { state }) });
  const entries = chosen(logEntries(records, history), filter, namesOf(history, folder.out));
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const numbers = new Set(entries.map(({ seq }) => seq));
  return {
    out: folder.out,
    state: folder.root,
    status: statusOf(history),
    history,
    entries,
    records: isFiltered ? records.filter(({ seq }) => numbers.has(seq)) : records,
  };
}

interface Names {
  readonly matching: (globs: readonly string[]) => ReadonlySet<string>;
}

/** The tensors that waves change: all that a log can tell of. */
function namesOf({ waves }: History, out: string): Names {
  const tensors = new Map(waves.flatMap(({ layers }) => layers.map(({ name }) => [name, undefined] as const)));
  return { matching: (globs) => new Set(matchTensors({ path: out, tensors, aliases: new Map() }, globs)) };
}

function chosen(entries: readonly LogEntry[], filter: LogFilter, names: Names): LogEntry[] {
  const { tensors, command, verdict, limit } = filter;
  const matching = tensors === undefined ? undefined : names.matching(tensors);
  const since = timeOf(filter.since);
  const passing = entries
    .map((entry) => (matching === undefined ? entry : narrowed(entry, matching)))
    .filter((entry) => matching === undefined || entry.tensors.length > 0)
    .filter((entry) => command === undefined || entry.command === command)
    .filter((entry) => verdict === undefined || (entry.kind === 'wave' && entry.verdict === verdict))
    .filter((entry) => since === undefined || Date.parse(entry.at) >= since);
  return limit === undefined ? passing : passing.slice(Math.max(0, passing.length - limit));
}

function narrowed(entry: LogEntry, matching: ReadonlySet<string>): LogEntry {
  // Which of its fields an entry has depends on its kind; the list of tensors is in all of them.
  return { ...entry, tensors: entry.tensors.filter(({ name }) => matching.has(name)) } as LogEntry;
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(time)) return time;
  throw new BirdboneError('usage', `"${text}" is no time. It must be a date, or a date and time, of ISO 8601.`, {
    suggestions: ['Write 2026-11-21 or 2026-11-21T14:30Z.'],
  });
}

function statusOf(history: History): Log['status'] {
  if (history.finished === undefined) return 'running';
  if (!history.stale) return isWhole(history) ? 'published' : 'rolled-back';
  return history.waves.some((wave) => wave.verdict === 'committed' && wave.changed) ? 'unpublished' : 'failed';
}
