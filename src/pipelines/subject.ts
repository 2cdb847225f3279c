import type { Passage } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import {
  compareScores,
  type Gate,
  isOff,
  judge,
  type ScoreOptions,
  summarize,
  type Verdict,
} from '../evaluation/index.js';
import type { Model } from '../model/index.js';
import type { Recipe } from '../recipe.js';
import type { Inputs } from '../waves/index.js';
import type { Scores } from './score-book.js';

/** What a search compares its candidates on. */
export interface Subject {
  readonly recipe: Recipe;
  readonly gate: Gate;
  readonly model: Model;
  readonly evaluation: readonly Passage[];
  readonly scoring: ScoreOptions;
  /** What scores depend on beside the candidate. */
  readonly key: Readonly<Record<string, string | number | boolean>>;
}

/** How a candidate compares with the dense model on the first passages. */
export interface Measured {
  readonly passages: number;
  readonly accuracy: number;
  readonly perplexity: number;
  readonly accuracyLoss: number;
  readonly perplexityRatio: number;
  /** ln of the ratio of perplexities: nats a token more than the dense model. Adds up over techniques that do not interact. */
  readonly nats: number;
  readonly verdict: Verdict;
}

/** Throws `usage` for a recipe whose gate is off, or that has no text for it: there would be nothing to search for. */
export function subjectOf({ recipe, gate, model, evaluation }: Inputs, scoring: ScoreOptions): Subject {
  if (evaluation === undefined || isOff(gate)) {
    throw new BirdboneError(
      'usage',
      'A search looks for the smallest model that passes the gate, and there is no gate.',
      {
        suggestions: ['Say what may be lost: --max-drop 3%', 'Give a text to measure on: "evaluation": { "file": … }'],
      },
    );
  }
  const withBase = gate.needsBaseLogits ? { base: model } : {};
  const { protocol, context } = recipe.evaluation;
  return {
    recipe,
    gate,
    model,
    evaluation: evaluation.passages,
    scoring: { ...scoring, ...withBase },
    key: {
      text: evaluation.source.sha256,
      protocol,
      context,
      device: scoring.device.description,
      compared: gate.needsBaseLogits,
    },
  };
}

/** A candidate's scores against the dense model's of the same passages, and the gate's word on them. Pure. */
export function measuredOf(dense: Scores, now: Scores, { gate, recipe }: Pick<Subject, 'gate' | 'recipe'>): Measured {
  const seed = { seed: recipe.seed };
  const [base, figures] = [summarize(dense.scores, seed), summarize(now.scores, seed)];
  const compared = now.comparisons.length > 0 ? { comparisons: now.comparisons } : {};
  const comparison = compareScores(dense.scores, now.scores, { ...seed, ...compared });
  return {
    passages: now.scores.length,
    accuracy: figures.accuracy,
    perplexity: figures.perplexity,
    accuracyLoss: comparison.accuracyLoss,
    perplexityRatio: comparison.perplexityRatio,
    nats: Math.log(comparison.perplexityRatio),
    verdict: judge(gate, { base, now: figures, comparison, confident: recipe.gateConfident }),
  };
}
