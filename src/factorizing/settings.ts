import { BirdboneError } from '../errors.js';
import type { RankRule } from '../lowrank/index.js';

/** What a factorizing step asks for (recipe-steps/factorize.ts); one of `ratio`, `energy` and `rank`. */
export interface FactorizeSettings {
  /** Fraction of the parameters of the linears inside the blocks that is to go. */
  readonly ratio?: number | undefined;
  /** Fraction of each matrix's energy that stays. */
  readonly energy?: number | undefined;
  /** Rank of every matrix. */
  readonly rank?: number | undefined;
  /** With `ratio`: the same ratio for every matrix, or by marginal loss over all of them. */
  readonly ranks?: 'uniform' | 'loss' | undefined;
  readonly algorithm?: FactorizeAlgorithm | undefined;
  readonly format?: FactorFormat | undefined;
}

/** `whitened`: the least loss of the outputs on the calibration text. `svd`: the least change of the weights; needs no text. */
export type FactorizeAlgorithm = 'svd' | 'whitened';

/** `factors`: two thin matrices for each weight, for birdbone itself. `dense`: their product, for any engine. */
export type FactorFormat = 'factors' | 'dense';

/** The settings with every choice made. */
export interface FactorizeRules {
  readonly rule: RankRule;
  readonly algorithm: FactorizeAlgorithm;
  readonly format: FactorFormat;
}

/** Throws `usage` for none or several of `ratio`, `energy` and `rank`, and for `ranks` without `ratio`. */
export function factorizeRules(settings: FactorizeSettings): FactorizeRules {
  const { algorithm = 'whitened', format = 'factors' } = settings;
  return { rule: ruleOf(settings), algorithm, format };
}

/** A ratio is met wave by wave; an energy or a rank is there or not. */
export function targetOf(rule: RankRule): number {
  return 'ratio' in rule ? rule.ratio : 1;
}

/** The rule for one wave: what it removes is the wave's target. */
export function ruleForTarget(rule: RankRule, target: number): RankRule {
  return 'ratio' in rule ? { ...rule, ratio: target } : rule;
}

function ruleOf({ ratio, energy, rank, ranks }: FactorizeSettings): RankRule {
  const given = Object.entries({ ratio, energy, rank }).filter(([, value]) => value !== undefined);
  if (given.length !== 1) throw oneOfThree(given.map(([name, value]) => `--${name} ${value}`));
  if (ranks !== undefined && ratio === undefined) throw nothingToDivide(ranks, given[0]![0]);
  if (energy !== undefined) return { kind: 'energy', energy };
  if (rank !== undefined) return { kind: 'rank', rank };
  return { kind: ranks === 'uniform' ? 'ratio' : 'budget', ratio: ratio! };
}

function oneOfThree(given: readonly string[]): BirdboneError {
  const problem =
    given.length === 0
      ? 'Nothing says how small the factors are to be.'
      : `${given.join(' and ')} each say how small the factors are to be.`;
  return new BirdboneError('usage', `${problem} One of --ratio, --energy and --rank is allowed.`, {
    suggestions: [
      'Remove a fifth of the parameters: --ratio 0.2',
      'Keep 99 % of what each matrix carries: --energy 0.99',
      'Give every matrix the same rank: --rank 64',
    ],
  });
}

function nothingToDivide(ranks: string, given: string): BirdboneError {
  return new BirdboneError(
    'usage',
    `--${given} says the rank of every matrix: --ranks ${ranks} has nothing to divide. It is allowed with --ratio only.`,
    { suggestions: ['Leave --ranks out.', 'Divide a share of the parameters: --ratio 0.2'] },
  );
}
