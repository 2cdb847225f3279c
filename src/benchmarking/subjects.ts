import { existsSync } from 'node:fs';
import { ggufMetadata, openCheckpoint } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { openModel } from '../model/index.js';
import { historyOf, Journal, stateFolder } from '../state/index.js';

/** A model that is measured. */
export interface Subject {
  readonly role: 'model' | 'base';
  readonly path: string;
  readonly isGguf: boolean;
  /** Tokens that it was made for. */
  readonly maxContext: number;
}

interface Named {
  readonly model: string;
  readonly base?: string;
  readonly state?: string;
  readonly context?: number;
}

/**
 * The models to measure, the base first: the one that is named, or that of the run whose output the model is; none for other models.
 * Throws `usage` where a model takes fewer tokens than a window has, and as `openModel`.
 */
export async function subjectsOf({ model, base, state, context }: Named): Promise<Subject[]> {
  const before = base ?? (await baseOfRun(model, state));
  const found = [await subjectOf(model, 'model', context)];
  return before === undefined ? found : [await subjectOf(before, 'base', context), ...found];
}

async function subjectOf(path: string, role: Subject['role'], context = 0): Promise<Subject> {
  const stored = await openCheckpoint(path);
  await stored.close();
  const { checkpoint, decoder } = await openModel(path);
  await checkpoint.close();
  if (decoder.maxContext < context) {
    throw new BirdboneError('usage', `${path} takes at most ${decoder.maxContext} tokens, not ${context}.`, {
      suggestions: [`--context ${decoder.maxContext}`],
    });
  }
  return { role, path, isGguf: ggufMetadata(stored) !== undefined, maxContext: decoder.maxContext };
}

/** What the run began with that made this output; undefined where no run did. Throws `unreadable` where it is no longer there. */
async function baseOfRun(out: string, state: string | undefined): Promise<string | undefined> {
  const { journal } = stateFolder(out, state);
  if (!existsSync(journal)) return undefined;
  const { records } = await Journal.open(journal, { repair: false });
  const base = historyOf(records).begin?.base.path;
  if (base === undefined || existsSync(base)) return base;
  throw new BirdboneError('unreadable', `${base}, which ${out} was made from, is no longer there.`, {
    file: base,
    suggestions: ['Name the dense model: --base DENSE'],
  });
}
