import type { Effectiveness } from '../state/index.js';
import type { FlatFigures } from './figures.js';

/**
 * What a wave took against what it cost: `removed` parameters, and the figures of the state before it and after. Undefined where
 * nothing was measured.
 */
export function effectivenessOf(removed: number, before: FlatFigures, after: FlatFigures): Effectiveness | undefined {
  const [accuracyBefore, accuracyAfter] = [before['accuracy'], after['accuracy']];
  const [perplexityBefore, perplexityAfter] = [before['perplexity'], after['perplexity']];
  if (accuracyBefore === undefined || accuracyAfter === undefined) return undefined;
  if (perplexityBefore === undefined || perplexityAfter === undefined) return undefined;
  const accuracyLost = accuracyBefore - accuracyAfter;
  const perplexityAdded = perplexityAfter - perplexityBefore;
  return {
    parameters: removed,
    accuracyLost,
    perplexityAdded,
    // One percentage point is a hundredth of all tokens.
    perAccuracyPoint: accuracyLost > 0 ? removed / (100 * accuracyLost) : null,
    perPerplexity: perplexityAdded > 0 ? removed / perplexityAdded : null,
  };
}
