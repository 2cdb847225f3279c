import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { type HashOptions, hashCheckpoint } from '../manifest/index.js';
import { type Model, openModel } from '../model/index.js';
import type { Recipe } from '../recipe.js';
import type { BeginRecord } from '../state/index.js';
import type { Inputs } from './inputs.js';

/** The model that everything is held against: the recipe's reference, or its model where there is none. */
export function heldAgainst({ model, reference }: Pick<Inputs, 'model' | 'reference'>): Model {
  return reference ?? model;
}

/** Opens the recipe's reference, if it names one. Throws `usage` for one with other tokens than the model's. */
export async function openReference({ reference: file }: Recipe, model: Model): Promise<Model | undefined> {
  if (file === undefined) return undefined;
  const reference = await openModel(file);
  const [own, other] = [model.decoder.vocabulary, reference.decoder.vocabulary];
  if (own === other) return reference;
  await reference.checkpoint.close();
  throw new BirdboneError('usage', `The model has a vocabulary of ${own} tokens, ${file} one of ${other}.`, {
    file,
    suggestions: ['Name the model that this one was made from: --base DIR'],
  });
}

/** Throws `usage` for healing that comes first and has nothing to heal towards: the model would be its own teacher. */
export function refuseNothingToHeal({ steps, reference }: Pick<Recipe, 'steps' | 'reference'>): void {
  if (steps[0]?.do !== 'heal' || reference !== undefined) return;
  throw new BirdboneError(
    'usage',
    'Healing is the first step, and nothing says what the model was before it was compressed.',
    {
      suggestions: [
        'Name the dense model: --base DIR, or "reference" in a recipe',
        'Put "heal" behind the step that does the damage.',
      ],
    },
  );
}

/** What a journal says of the reference; undefined where the recipe names none. */
export async function referenceRecord(
  { recipe, reference }: Inputs,
  watch: HashOptions,
): Promise<BeginRecord['reference'] | undefined> {
  if (reference === undefined || recipe.reference === undefined) return undefined;
  const { weights, metadata } = await hashCheckpoint(reference.checkpoint, watch);
  return { path: path.resolve(recipe.reference), weights, metadata };
}
