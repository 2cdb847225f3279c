import { BirdboneError } from '../errors.js';

/** Throws `usage` unless passages of `context` tokens make sense for a model that was made for `maxContext`. */
export function checkContext(context: number, maxContext: number): void {
  if (context > maxContext) {
    throw new BirdboneError(
      'usage',
      `A context of ${context} tokens is longer than the model's ${maxContext} (max_position_embeddings).`,
      { suggestions: [`Use --context ${maxContext} or less.`] },
    );
  }
  if (!Number.isInteger(context) || context < 2) {
    throw new BirdboneError('usage', `A context of ${context} tokens leaves nothing to predict; it must be 2 or more.`);
  }
}
