import type { Random } from '../random.js';
import { moved } from './moves.js';
import { OPERATORS, type Operator, OperatorBandit, type OperatorName } from './operators.js';
import { Prices } from './prices.js';
import { MIN_GAIN, type ThresholdSearch } from './search-settings.js';
import type { ThresholdCluster } from './threshold-cluster.js';
import { type Arena, type Contender, type Measured, type ParentParts, tournament } from './tournament.js';

/** One generation, as the record of a wave keeps it. */
export interface Generation {
  readonly generation: number;
  /** The parent's mean KL from the dense model on the tuning text when it was over, nats. */
  readonly divergence: number;
  /** What the new parent was made by; absent where the old one stays. */
  readonly operator?: OperatorName;
}

export interface Evolution {
  readonly best: Measured;
  readonly generations: readonly Generation[];
  /** `converged`: as many generations as its patience brought no gain. */
  readonly ended: 'converged' | 'generations';
  readonly operators: ReturnType<OperatorBandit['record']>;
  readonly measurements: number;
}

export interface EvolutionOptions {
  readonly arena: Arena;
  readonly search: ThresholdSearch;
  /** What each cluster's weights were measured to cost. */
  readonly firstPrices: readonly number[];
  readonly random: Random;
  readonly onStep?: (done: number, total: number) => void;
}

/**
 * Better and better divisions: each generation moves weights in several ways between the clusters of the best division so far, and
 * the best of what comes of that takes its place if it is better. What every candidate costs teaches what weights cost where, and which
 * ways pay. Ends early when nothing is gained any more. Source of the evolution: Sieberling et al. 2024, "EvoPress".
 */
export async function evolve(start: Measured, options: EvolutionOptions): Promise<Evolution> {
  const { arena, search, random, onStep } = options;
  const { clusters } = arena;
  const prices = new Prices(options.firstPrices);
  const bandit = new OperatorBandit(operatorsFor(arena));
  const generations: Generation[] = [];
  let parent = start;
  let parts: ParentParts = new Map();
  let idle = 0;
  let measurements = 0;
  for (let generation = 1; generation <= search.generations && idle < search.patience; generation += 1) {
    const offspring = Array.from({ length: search.offspring }, (): Contender => {
      const operator = bandit.choose(random);
      const drawn = prices.drawn(clusters.map(() => normal(random)));
      return { operator, counts: moved(parent.counts, { clusters, operator, prices: drawn, random }) };
    });
    const round = await tournament(parent, offspring, { parts, arena });
    learn(round.changes, parent, { arena, prices });
    for (const { operator } of round.winners) bandit.reward(operator as Operator);
    measurements += round.measurements;
    const gain = parent.fitness - round.best.fitness;
    idle = gain > MIN_GAIN * parent.divergence ? 0 : idle + 1;
    if (round.best !== parent) parts = new Map();
    parent = round.best;
    const { operator } = round.winners[0] ?? {};
    generations.push({ generation, divergence: parent.divergence, ...(operator && { operator: operator.name }) });
    onStep?.(generation, search.generations);
  }
  const ended = idle >= search.patience ? 'converged' : 'generations';
  return { best: parent, generations, ended, operators: bandit.record(), measurements };
}

/** Moves between blocks, or matrices, need two of them that trade with each other. */
function operatorsFor({ clusters }: Arena): OperatorName[] {
  const isTraded = (key: (cluster: ThresholdCluster) => string | number) =>
    clusters.some((one) => clusters.some((other) => other.pool === one.pool && key(other) !== key(one)));
  const has = { block: isTraded(({ block }) => block), matrix: isTraded(({ matrix }) => matrix) };
  return OPERATORS.filter((name) => (name !== 'block' || has.block) && (name !== 'matrix' || has.matrix));
}

function learn(
  changes: readonly { readonly contender: Contender; readonly change: number }[],
  parent: Contender,
  { arena: { clusters }, prices }: { readonly arena: Arena; readonly prices: Prices },
): void {
  prices.fade();
  for (const { contender, change } of changes) {
    const weights = clusters.map(({ name }) => contender.counts.get(name)! - parent.counts.get(name)!);
    prices.observe(weights, change);
  }
}

/** A standard normal number. Source: Box & Muller 1958. */
function normal(random: Random): number {
  const WORDS = 2 ** 32;
  const radius = Math.sqrt(-2 * Math.log((random.bits() + 1) / WORDS));
  return radius * Math.cos((2 * Math.PI * random.bits()) / WORDS);
}
