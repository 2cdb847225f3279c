import { BirdboneError } from '../errors.js';
import { budgetRanks } from './budget.js';
import { type Decomposition, lossAt } from './decomposition.js';
import { breakEvenRank, factorParameters, largestUsefulRank, rankAtRatio, type Shape } from './factors.js';

/** How ranks are chosen. A ratio is the fraction of the matrices' parameters that goes. */
export type RankRule =
  /** The same fraction of every matrix. */
  | { readonly kind: 'ratio'; readonly ratio: number }
  /** That fraction of all matrices together, where the outputs suffer least for it. */
  | { readonly kind: 'budget'; readonly ratio: number }
  /** The least rank that keeps this fraction of ‖W X‖² (or ‖W‖²). */
  | { readonly kind: 'energy'; readonly energy: number }
  /** The same rank everywhere. */
  | { readonly kind: 'rank'; readonly rank: number };

/** What a rule needs to know of a matrix. */
export type Spectrum = Pick<Decomposition, 'name' | 'rows' | 'columns' | 'energies' | 'total'>;

/** What becomes of one matrix. */
export interface RankChoice extends Shape {
  readonly name: string;
  /** Absent where the matrix stays as it is. */
  readonly rank?: number;
  /** Why it stays as it is. */
  readonly reason?: string;
  readonly parameters: { readonly before: number; readonly after: number };
  /** The part of ‖W X‖² (or ‖W‖²) that its factors lose, from 0 to 1; absent where nobody looked at the spectrum. */
  readonly loss?: number;
}

/** Whether a rule can be followed with the shapes alone. */
export function needsSpectrum(rule: RankRule): rule is Extract<RankRule, { kind: 'budget' | 'energy' }> {
  return rule.kind === 'budget' || rule.kind === 'energy';
}

/** The directions that a rule can ask of a matrix at most: what a randomised decomposition has to find. */
export function mostRank(rule: RankRule, shape: Shape): number {
  const useful = largestUsefulRank(shape);
  if (rule.kind === 'rank') return Math.min(rule.rank, useful);
  if (rule.kind === 'ratio') return Math.min(rankAtRatio(shape, rule.ratio), useful);
  return useful;
}

/**
 * The rank of every matrix, in the order given; those that no useful rank serves stay as they are, with the reason. Throws
 * `usage` where that leaves no matrix to factorize.
 */
export function chooseRanks(rule: RankRule, spectra: readonly Spectrum[]): RankChoice[] {
  const ranks = rule.kind === 'budget' ? budgetRanks(spectra, rule.ratio) : spectra.map((each) => rankBy(rule, each));
  const choices = spectra.map((spectrum, i) => choiceOf(rule, spectrum, ranks[i]!));
  if (choices.every(({ rank }) => rank === undefined)) throw nothingFits(rule, choices);
  return choices;
}

/** The same from shapes alone, for rules that need no spectrum. Throws as `chooseRanks`. */
export function ranksOfShapes(
  rule: Exclude<RankRule, { readonly kind: 'budget' | 'energy' }>,
  shapes: readonly (Shape & { readonly name: string })[],
): RankChoice[] {
  const none = { energies: new Float64Array(0), total: 0 };
  return chooseRanks(
    rule,
    shapes.map((shape) => ({ ...shape, ...none })),
  );
}

/** The rank that a rule asks for, useful or not; the budget's asks across matrices. */
function rankBy(rule: Exclude<RankRule, { kind: 'budget' }>, spectrum: Spectrum): number {
  if (rule.kind === 'rank') return rule.rank;
  if (rule.kind === 'ratio') return rankAtRatio(spectrum, rule.ratio);
  const { energies, total } = spectrum;
  let kept = 0;
  let rank = 0;
  while (rank < energies.length && kept < rule.energy * total) kept += energies[rank++]!;
  // Nothing to keep: one direction of zeros says so. Not enough found: no useful rank keeps it.
  return kept < rule.energy * total ? energies.length + 1 : Math.max(1, rank);
}

function choiceOf(rule: RankRule, spectrum: Spectrum, wanted: number | undefined): RankChoice {
  const { name, rows, columns, energies, total } = spectrum;
  const before = rows * columns;
  const most = largestUsefulRank(spectrum);
  if (wanted !== undefined && wanted >= 1 && wanted <= most) {
    const loss = energies.length === 0 ? {} : { loss: total === 0 ? 0 : lossAt(spectrum, wanted) / total };
    return {
      name,
      rows,
      columns,
      rank: wanted,
      parameters: { before, after: factorParameters(spectrum, wanted) },
      ...loss,
    };
  }
  return { name, rows, columns, reason: reasonOf(rule, spectrum, wanted), parameters: { before, after: before } };
}

function reasonOf(rule: RankRule, shape: Shape, wanted: number | undefined): string {
  const breakEven = `factors hold fewer numbers than the matrix below rank ${Number(breakEvenRank(shape).toFixed(1))} only`;
  if (wanted === undefined) return 'the budget is met with less loss elsewhere';
  if (wanted < 1) return `a matrix [${shape.rows}, ${shape.columns}] has no rank that removes so much`;
  if (rule.kind === 'energy') return `no smaller rank keeps ${rule.energy} of its energy; ${breakEven}`;
  return `rank ${wanted} is asked for; ${breakEven}`;
}

function nothingFits(rule: RankRule, choices: readonly RankChoice[]): BirdboneError {
  const [first] = choices;
  const text =
    rule.kind === 'rank' ? `rank ${rule.rank}` : `${rule.kind} ${rule.kind === 'energy' ? rule.energy : rule.ratio}`;
  const why = first === undefined ? 'it has none' : `${first.name}: ${first.reason}`;
  return new BirdboneError('usage', `With ${text} no matrix of the model gets smaller (${why}).`, {
    ...(first && { tensor: first.name }),
    suggestions: ['Ask for a share of the weights: --ratio 0.2', 'See the ranks before anything is written: --dry-run'],
  });
}
