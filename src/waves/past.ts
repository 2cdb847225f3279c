import { existsSync } from 'node:fs';
import path from 'node:path';
import { shellWord } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type History, historyOf, Journal, type JournalRecord, type StateFolder, stateFolder } from '../state/index.js';

/** Which output, and where its journal lies when not beside it. */
export interface OutputName {
  readonly out: string;
  readonly state?: string;
}

/** What the journal of an output says. */
export interface Past {
  readonly folder: StateFolder;
  readonly records: readonly JournalRecord[];
  readonly history: History;
}

/** Reads an output's journal without its lock, so also while a run is under way. Throws `usage` when it has none. */
export async function readPast({ out, state }: OutputName): Promise<Past> {
  const folder = stateFolder(out, state);
  if (!existsSync(folder.journal)) throw noHistory(folder);
  const { records } = await Journal.open(folder.journal, { repair: false });
  const history = historyOf(records);
  if (history.begin === undefined) throw noHistory(folder);
  return { folder, records, history };
}

/** Throws `usage` when `gc` has removed a layer that this state needs. */
export function refuseCollected(next: History, folder: StateFolder): void {
  const gone = next.waves.find(({ active, layer }) => active && !existsSync(path.join(folder.root, layer.name)));
  if (gone === undefined) return;
  throw new BirdboneError(
    'usage',
    `The layer of wave ${gone.wave} was removed by gc; no state that has it can be made.`,
    { suggestions: [`See what is left: birdbone log ${shellWord(folder.out)}`] },
  );
}

export function noHistory(folder: StateFolder): BirdboneError {
  return new BirdboneError('usage', `There is no history of ${folder.out}: ${folder.journal} does not tell of a run.`, {
    suggestions: ['Name the output folder of a prune.', 'If its state was put elsewhere, say where: --state DIR'],
  });
}
