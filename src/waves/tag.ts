import { existsSync } from 'node:fs';
import { shellWord } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import {
  type History,
  historyAt,
  historyOf,
  Journal,
  lock,
  requireLayers,
  sameState,
  stateFolder,
  type Tag,
  type WaveState,
} from '../state/index.js';
import { noHistory, type OutputName, readPast, refuseCollected } from './past.js';
import { checkTagName, stateAt } from './reference.js';

export interface TagOptions extends OutputName {
  readonly name: string;
  /** The state to name: a wave's number, `dense`, another tag; the current one by default. */
  readonly at?: number | string;
  /** Take the name away from the state that has it. */
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** What tagging did, or would do. */
export interface TagChange {
  readonly out: string;
  readonly name: string;
  /** What the tag names now; null when it was removed. */
  readonly state: WaveState | null;
  /** What it named before, if anything. */
  readonly before: WaveState | null;
}

/**
 * Gives a state of an output a name, under which `rollback`, `diff` and `export` find it; `gc` keeps what it needs. Throws `usage`
 * for a name that no tag may have or another state has, and for a state that does not exist or was removed; `mismatch` for one of
 * which a part is gone.
 */
export function tagState(options: TagOptions): Promise<TagChange> {
  return changeTags(options, async (past, journal) => {
    const { name, at = 'current', force = false } = options;
    checkTagName(name);
    const folder = stateFolder(options.out, options.state);
    const named = historyAt(past, stateAt(at, past, folder).state);
    const { state } = named;
    refuseCollected(named, folder);
    await requireLayers(
      folder,
      named.waves.filter(({ active }) => active),
    );
    const before = past.tags.find((tag) => tag.name === name)?.state ?? null;
    const isThere = before !== null && sameState(before, state);
    if (before !== null && !isThere && !force) throw taken(name);
    const change = { out: folder.out, name, state, before };
    return { change, record: async () => isThere || journal.append({ type: 'tag', name, state }) };
  });
}

/** Removes a tag; the state it named stays until `gc` finds nothing else that needs it. Throws `usage` when there is none. */
export function removeTag(options: Omit<TagOptions, 'at' | 'force'>): Promise<TagChange> {
  return changeTags(options, async (past, journal) => {
    const { name } = options;
    const { out } = stateFolder(options.out, options.state);
    const found = past.tags.find((tag) => tag.name === name);
    if (found === undefined) throw noTag(name, past, out);
    const change = { out, name, state: null, before: found.state };
    return { change, record: () => journal.append({ type: 'untag', name }) };
  });
}

/** The tags of an output, in name order. */
export interface TagList {
  readonly out: string;
  readonly tags: readonly Tag[];
}

/** Reads an output's tags without its lock; works while a run is under way. */
export async function readTags(output: OutputName): Promise<TagList> {
  const { folder, history } = await readPast(output);
  return { out: folder.out, tags: history.tags };
}

interface Planned {
  readonly change: TagChange;
  readonly record: () => Promise<unknown>;
}

async function changeTags(
  { out, state, dryRun = false }: Pick<TagOptions, 'out' | 'state' | 'dryRun'>,
  plan: (past: History, journal: Journal) => Promise<Planned>,
): Promise<TagChange> {
  const folder = stateFolder(out, state);
  if (!existsSync(folder.journal)) throw noHistory(folder);
  const release = dryRun ? undefined : await lock(folder.root);
  try {
    const journal = await Journal.open(folder.journal, { repair: !dryRun });
    const past = historyOf(journal.records);
    if (past.begin === undefined) throw noHistory(folder);
    const { change, record } = await plan(past, journal);
    if (!dryRun) await record();
    return change;
  } finally {
    await release?.();
  }
}

function taken(name: string): BirdboneError {
  return new BirdboneError('usage', `There is a tag ${name} already.`, {
    suggestions: ['Choose another name.', 'Give the name to this state instead: --force'],
  });
}

function noTag(name: string, past: History, out: string): BirdboneError {
  const near = nearest(
    name,
    past.tags.map((tag) => tag.name),
  ).slice(0, 1);
  return new BirdboneError('usage', `${out} has no tag "${name}".`, {
    suggestions: [...near.map((other) => `Did you mean ${other}?`), `See them: birdbone tag ${shellWord(out)} --list`],
  });
}
