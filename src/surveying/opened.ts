import path from 'node:path';
import { type Model, openModel, withCheckpoint } from '../model/index.js';
import { Marks } from '../plates/index.js';
import { marksOf, openState, parseReference } from '../waves/index.js';
import type { SurveyOptions } from './survey.js';

/** A model to look at, with what a run has shed of it. The caller closes `model.checkpoint`. */
export interface SurveyedModel {
  readonly model: Model;
  readonly shed: Marks;
  /** The last component of its path, or of the state: the same model gives the same list wherever it lies. */
  readonly name: string;
  /** What its tokenizer is loaded from. */
  readonly folder: string;
}

/**
 * Opens a model, or a state of a run at the shape of its base: shed plates are there, at zero, and marked. Throws as `openModel` and
 * `openState` do.
 */
export async function openSurveyed({
  model: text,
  state,
}: Pick<SurveyOptions, 'model' | 'state'>): Promise<SurveyedModel> {
  if (parseReference(text).kind === 'path') {
    const model = await openModel(text);
    return { model, shed: Marks.none, name: path.basename(path.resolve(text)), folder: text };
  }
  const { checkpoint, name, origin } = await openState(text, state === undefined ? {} : { state });
  try {
    const { base, past } = origin!;
    return { model: withCheckpoint(base.model, checkpoint), shed: marksOf(past, base.model), name, folder: base.path };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}
