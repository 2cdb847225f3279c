import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { type StateFolder, stateFolder } from './state-folder.js';

/** What a search calls the folder of one candidate: the digest of its steps. */
const CANDIDATE = /^[0-9a-f]{16}$/;
/** Its own files beside them: scores, the lock, hidden states that did not fit into memory, writes that were interrupted. */
const OWN = /^(?:scores\.json|lock\.[0-9a-f]+(?:\.new)?|hidden-states.*\.bin|\..+\.tmp-[0-9a-f]+)$/;
const LOCK = /^lock\.[0-9a-f]+$/;

/** Something that lies in the folder of a search. */
export interface SearchEntry {
  readonly path: string;
  readonly bytes: number;
  /** When anything in it was last written, in milliseconds. */
  readonly modified: number;
}

/**
 * What the search for a run's recipe has left, in name order, but for locks. Throws `usage` for a file that no search has put there:
 * whoever asks is about to remove it.
 */
export async function searchEntries({ search }: StateFolder): Promise<SearchEntry[]> {
  const names = existsSync(search) ? (await readdir(search)).sort() : [];
  const foreign = names.find((name) => !CANDIDATE.test(name) && !OWN.test(name));
  if (foreign !== undefined) {
    const file = path.join(search, foreign);
    throw new BirdboneError('usage', `${file} is not a search's; its folder would be emptied.`, {
      file,
      suggestions: ['Move it away.'],
    });
  }
  const entries: SearchEntry[] = [];
  for (const name of names) if (!LOCK.test(name)) entries.push(await measured(path.join(search, name)));
  return entries;
}

/** The states of the runs that a search has made candidates by, in name order: those that have begun. */
export async function candidateStates({ search }: StateFolder): Promise<StateFolder[]> {
  const names = existsSync(search) ? (await readdir(search)).filter((name) => CANDIDATE.test(name)).sort() : [];
  return names
    .flatMap((name) => ['model', 'model.gguf'].map((model) => stateFolder(path.join(search, name, model))))
    .filter(({ journal }) => existsSync(journal));
}

async function measured(full: string): Promise<SearchEntry> {
  const entry = await stat(full);
  if (!entry.isDirectory()) return { path: full, bytes: entry.size, modified: entry.mtimeMs };
  let [bytes, modified] = [0, entry.mtimeMs];
  for (const name of await readdir(full)) {
    const inner = await measured(path.join(full, name));
    bytes += inner.bytes;
    modified = Math.max(modified, inner.modified);
  }
  return { path: full, bytes, modified };
}
