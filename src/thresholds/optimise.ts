import type { Counts } from '../allocation/index.js';
import { seededRandom } from '../random.js';
import { decide, type Finalist } from './decide.js';
import { type Evolution, evolve } from './evolution.js';
import { withinBounds } from './fitness.js';
import { type FrontPoint, frontOf, OFFSETS } from './front.js';
import { pricedStarts, STRIDES } from './priced-start.js';
import type { ThresholdSearch } from './search-settings.js';
import { type Sensitivity, sensitivities } from './sensitivity.js';
import type { Budgets, ThresholdCluster } from './threshold-cluster.js';
import type { ThresholdTrial } from './threshold-trial.js';
import { type Arena, type Contender, type Measured, measured, STAGES } from './tournament.js';

/** A division to begin with, such as OWL's, and what it is called. */
export interface NamedStart {
  readonly name: string;
  readonly counts: Counts;
}

export interface ThresholdRequest {
  readonly clusters: readonly ThresholdCluster[];
  /** The sparsity of all clusters together, and what it is of each pool. */
  readonly target: number;
  readonly budgets: Budgets;
  /** The first is the uniform one: what others are held against. All of them on budget. */
  readonly starts: readonly NamedStart[];
  readonly trial: ThresholdTrial;
  readonly search: ThresholdSearch;
  readonly seed: number;
  /** Called after each generation. */
  readonly onStep?: (done: number, total: number) => void;
}

/** Tokens that a search sends through the model at most, its candidates all together. */
export function measurementTokens(
  search: ThresholdSearch,
  clusters: number,
  { tuning, deciding }: ThresholdTrial['tokens'],
): number {
  const priced = PRICED_ROUNDS * (PRICED_SHARE * (1 + clusters) + STRIDES.length);
  const generation = STAGES.reduce(
    ({ sum, entrants }, { share, survivors }) => {
      return { sum: sum + share * (1 + entrants), entrants: Math.min(entrants, survivors) };
    },
    { sum: 0, entrants: search.offspring },
  );
  const generations = search.generations * (generation.sum + generation.entrants);
  return tuning * (2 * MOST_STARTS + 2 + priced + generations) + deciding * (MOST_STARTS + 1 + OFFSETS.length);
}

/** Thresholds, how they were found, and what is expected of them. */
export interface ThresholdResult {
  readonly counts: Counts;
  /** The finalist that was taken. */
  readonly chosen: string;
  /** Everything that came to the final decision, with its figures on both texts. */
  readonly finalists: readonly Finalist[];
  readonly sensitivities: readonly Sensitivity[];
  readonly evolution: Evolution;
  /** Sparsities around the target and what they would cost, none of them worse than another in both. */
  readonly front: readonly FrontPoint[];
  /** Candidates that were measured, on whatever part of a text. */
  readonly measurements: number;
}

/** Times that prices are measured and followed, at most, before chance takes over. */
const PRICED_ROUNDS = 3;
/** Prices are measured on this part of the tuning text: many small differences, each of the same tokens. */
const PRICED_SHARE = 1 / 2;
/** Another round of prices is worth it where the last one has gained this part of the divergence. */
const WORTHWHILE = 0.02;

/** Divisions that a search begins with, as a rule. */
const MOST_STARTS = 5;

/** What the search ends with, among the finalists. */
const FOUND = 'search';

/**
 * Thresholds by cluster that change the model's predictions least at exactly these budgets. From the best of the starts, measured prices
 * are followed for as long as that pays; then an evolution looks for what straight lines do not show. What was found is held
 * against the starts on text that nothing was tuned on, and only there the decision falls. The same request gives the same result.
 */
export async function optimiseThresholds(request: ThresholdRequest): Promise<ThresholdResult> {
  const { clusters, target, budgets, trial, search, seed, onStep } = request;
  const starts = request.starts.map(({ name, counts }) => ({ name, counts: withinBounds(counts, clusters, budgets) }));
  const tokens = trial.tokens.tuning;
  const free = { clusters, target, trial, extremityCost: 0 };
  const [uniform] = await measured([starts[0]!], tokens, free);
  const arena = { ...free, extremityCost: search.regularization * uniform!.divergence };
  const begun = await measured(starts, tokens, arena);
  const priced = await followPrices(begun[0]!, { arena, budgets });
  const firstPrices = priced.found.map(({ price }) => price);
  const options = { arena, search, firstPrices, random: seededRandom(seed), ...(onStep && { onStep }) };
  const evolution = await evolve(priced.best, options);
  const finalists = await decide([...starts, { name: FOUND, counts: evolution.best.counts }], arena);
  const chosen = finalists[0]!;
  const front = await frontOf(chosen.counts, arena);
  return {
    counts: chosen.counts,
    chosen: chosen.name,
    finalists,
    sensitivities: priced.found,
    evolution,
    front,
    measurements:
      1 + starts.length + priced.measurements + evolution.measurements + 2 * finalists.length + front.length,
  };
}

interface Priced {
  readonly best: Measured;
  /** Of the division that the last prices were measured at. */
  readonly found: readonly Sensitivity[];
  readonly measurements: number;
}

async function followPrices(
  start: Measured,
  { arena, budgets }: { readonly arena: Arena; readonly budgets: Budgets },
): Promise<Priced> {
  const { clusters, trial } = arena;
  const tokens = Math.ceil(PRICED_SHARE * trial.tokens.tuning);
  let best = start;
  let found: readonly Sensitivity[] = [];
  let measurements = 0;
  for (let round = 0; round < PRICED_ROUNDS; round += 1) {
    const [here] = await measured([best], tokens, arena);
    found = await sensitivities(best.counts, clusters, { trial, tokens, divergence: here!.divergence });
    const strides: Contender[] = pricedStarts(best.counts, clusters, { found, budgets }).map((counts) => ({ counts }));
    const [furthest] = await measured(strides, trial.tokens.tuning, arena);
    measurements += 1 + clusters.length + strides.length;
    const gain = best.fitness - furthest!.fitness;
    if (gain > 0) best = furthest!;
    if (gain <= WORTHWHILE * best.divergence) break;
  }
  return { best, found, measurements };
}
