import { existsSync } from 'node:fs';
import { type History, historyOf, isWhole, Journal, type JournalRecord, stateFolder } from '../state/index.js';
import { noHistory } from './past.js';

/** What happened to an output. */
export interface Log {
  readonly out: string;
  readonly state: string;
  /** running: not finished (interrupted, unless a process has it); failed: no wave was kept. */
  readonly status: 'running' | 'published' | 'failed' | 'rolled-back' | 'unpublished';
  readonly history: History;
  /** Every record of the journal: the audit log. */
  readonly records: readonly JournalRecord[];
}

/** What happened to an output, from its journal. Reads only; works while a run is under way. */
export async function readLog(options: { readonly out: string; readonly state?: string }): Promise<Log> {
  const folder = stateFolder(options.out, options.state);
  if (!existsSync(folder.journal)) throw noHistory(folder);
  const journal = await Journal.open(folder.journal, { repair: false });
  const history = historyOf(journal.records);
  return { out: folder.out, state: folder.root, status: statusOf(history), history, records: journal.records };
}

function statusOf(history: History): Log['status'] {
  if (history.finished === undefined) return 'running';
  if (!history.stale) return isWhole(history) ? 'published' : 'rolled-back';
  return history.waves.some((wave) => wave.verdict === 'committed' && wave.changed) ? 'unpublished' : 'failed';
}
