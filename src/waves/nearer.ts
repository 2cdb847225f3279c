import type { Verdict } from '../evaluation/index.js';
import { type History, sameState, stateAfter } from '../state/index.js';
import type { FlatFigures } from './figures.js';

/** What was measured last of the model that the next wave begins with. */
export function figuresBefore(past: History): FlatFigures {
  const last = past.waves.findLast(({ active }) => active);
  if (last !== undefined) return last.figures;
  // Of a run that is held against another model than its own, the baseline is that one's.
  return ownFigures(past) ?? past.baseline?.figures ?? {};
}

/** What was measured of the run's own model, before any wave. */
export function ownFigures({ measurements }: History): FlatFigures | undefined {
  return measurements.find(({ state }) => sameState(state, stateAfter(0)))?.figures;
}

/** How far from the dense model a model is, by what was measured: the nearer the smaller. */
const DISTANCES = [
  { metric: 'kl', name: 'KL divergence' },
  { metric: 'perplexity', name: 'perplexity' },
] as const;

/**
 * The gate's word on a wave that heals: one that passes and is no nearer to the dense model than the one before it does not. KL
 * divergence decides where both have it, else perplexity.
 */
export function nearerVerdict(verdict: Verdict, before: FlatFigures, after: FlatFigures): Verdict {
  const found = DISTANCES.find(({ metric }) => before[metric] !== undefined && after[metric] !== undefined);
  if (!verdict.pass || found === undefined) return verdict;
  const [was, is] = [before[found.metric]!, after[found.metric]!];
  if (is < was) return verdict;
  const reason = `healing brought the model no nearer to the dense one: ${found.name} ${is.toPrecision(4)} after ${was.toPrecision(4)}`;
  return { ...verdict, pass: false, reason };
}
