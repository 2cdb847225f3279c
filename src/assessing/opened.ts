import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { type Model, openModel, withCheckpoint } from '../model/index.js';
import { openState, parseReference } from '../waves/index.js';
import type { AssessOptions } from './options.js';

/** A compressed model and its dense one, opened. */
export interface OpenedModels {
  readonly now: Model;
  readonly base: Model;
  readonly names: { readonly model: string; readonly base: string };
  /** What the tokenizer is loaded from. */
  readonly folder: string;
  close(): Promise<void>;
}

/**
 * Opens both models. A state of a run is seen at the shapes of its base, shed plates at zero. Throws `usage` where there is no base, and
 * as `openModel` and `openState` do.
 */
export async function openModels({ model: text, base, state }: AssessOptions): Promise<OpenedModels> {
  if (parseReference(text).kind === 'path') {
    if (base === undefined) throw noBase(text);
    return besides(await openModel(text), base, nameOf(text));
  }
  const opened = await openState(text, state === undefined ? {} : { state });
  const origin = opened.origin!;
  const now = withCheckpoint(origin.base.model, opened.checkpoint);
  if (base !== undefined) return besides(now, base, opened.name);
  // Closing the state closes its base.
  const names = { model: opened.name, base: nameOf(origin.base.path) };
  const close = () => opened.checkpoint.close();
  return { now, base: origin.base.model, names, folder: origin.base.path, close };
}

async function besides(now: Model, basePath: string, model: string): Promise<OpenedModels> {
  try {
    const base = await openModel(basePath);
    const close = async () => {
      await base.checkpoint.close();
      await now.checkpoint.close();
    };
    return { now, base, names: { model, base: nameOf(basePath) }, folder: basePath, close };
  } catch (error) {
    await now.checkpoint.close();
    throw error;
  }
}

function nameOf(text: string): string {
  return path.basename(path.resolve(text));
}

function noBase(model: string): BirdboneError {
  return new BirdboneError(
    'usage',
    `Nothing says what ${model} was before: damage is measured against the dense model.`,
    {
      suggestions: ['Name the dense model: --base DENSE', 'Name a state of a run, which knows its base: OUT@current'],
    },
  );
}
