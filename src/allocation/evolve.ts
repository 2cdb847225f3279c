import { type Random, seededRandom } from '../random.js';
import type { Allocation, AllocationRequest, Candidate, Contest } from './allocation.js';
import { type BudgetMatrix, budgetOf, type Counts, fitBudget } from './budget.js';
import { byError } from './error.js';
import { byOutliers } from './owl.js';

/**
 * Generations of a search, and offspring of each. The paper has 400 of 64, from the uniform allocation; this search starts nearer,
 * and docs/allocation.md has what it takes.
 */
const GENERATIONS = 40;
const OFFSPRING = 16;

/** Each stage measures those that the one before let through on more of the text, and lets the best of them through. */
const STAGES = [
  { share: 1 / 8, survivors: 4 },
  { share: 1, survivors: 1 },
] as const;

/** A mutation moves this share of the smallest matrix's weights, from one matrix to another. */
const MOVED_SHARE = 0.05;
/** A mutation moves min(U(1, 3), U(1, 3)) times: mostly once. */
const MOST_MOVES = 3;

/**
 * Evolution from the best of three: uniform, OWL's, and by measured errors. Offspring move weights from some matrices to others, so
 * that the budget stays met; the one whose predictions are nearest to the dense model's becomes the parent, unless the parent is
 * as near. Source: Sieberling et al. 2024, "EvoPress", algorithms 1 and 2.
 */
const evolve: Allocation = {
  kind: 'measured',
  async allocate(request) {
    const { matrices, probe, seed, onStep } = request;
    const random = seededRandom(seed);
    const starts = await startsOf(request);
    const contest = await probe.openContest();
    try {
      let [parent] = (await best(starts, 1, { matrices, contest, tokens: contest.tokens })) as [Counts];
      for (let generation = 0; generation < GENERATIONS; generation += 1) {
        const offspring = Array.from({ length: OFFSPRING }, () => mutated(parent, matrices, random));
        parent = await tournament(parent, offspring, matrices, contest);
        onStep?.(generation + 1, GENERATIONS);
      }
      return parent;
    } finally {
      await contest.close();
    }
  },
};

export default evolve;

async function startsOf(request: AllocationRequest): Promise<Counts[]> {
  const { matrices, target } = request;
  const uniform = fitBudget(matrices, () => target, budgetOf(matrices, target));
  return [uniform, await byOutliers(request), await byError(request)];
}

/** The offspring that is best in the last stage, or the parent: it takes part there, and wins where they are equal. */
export async function tournament(
  parent: Counts,
  offspring: readonly Counts[],
  matrices: readonly BudgetMatrix[],
  contest: Contest,
): Promise<Counts> {
  let field = offspring;
  for (const [stage, { share, survivors }] of STAGES.entries()) {
    if (stage === STAGES.length - 1) field = [parent, ...field];
    field = await best(field, survivors, { matrices, contest, tokens: Math.ceil(share * contest.tokens) });
  }
  return field[0]!;
}

/** So many of the field whose predictions are nearest to the dense model's, the nearest first; of equals the first. */
async function best(
  field: readonly Counts[],
  survivors: number,
  at: { readonly matrices: readonly BudgetMatrix[]; readonly contest: Contest; readonly tokens: number },
): Promise<Counts[]> {
  const candidates = field.map((counts) => candidateOf(counts, at.matrices));
  const divergences = await at.contest.divergences(candidates, at.tokens);
  const ranks = field.map((_, i) => i).sort((a, b) => divergences[a]! - divergences[b]! || a - b);
  return ranks.slice(0, survivors).map((i) => field[i]!);
}

function candidateOf(counts: Counts, matrices: readonly BudgetMatrix[]): Candidate {
  return new Map(matrices.map(({ name, elements }) => [name, counts.get(name)! / elements]));
}

/** The parent with some weights' worth of removal moved between matrices; the sum stays what it was. */
export function mutated(parent: Counts, matrices: readonly BudgetMatrix[], random: Random): Counts {
  const counts = new Map(parent);
  const unit = Math.max(1, Math.round(MOVED_SHARE * Math.min(...matrices.map(({ elements }) => elements))));
  const moves = Math.min(1 + random.below(MOST_MOVES), 1 + random.below(MOST_MOVES));
  for (let move = 0; move < moves; move += 1) {
    const from = matrices[random.below(matrices.length)]!;
    const to = matrices[random.below(matrices.length)]!;
    const room = Math.min(unit, counts.get(from.name)! - from.gone, to.elements - counts.get(to.name)!);
    if (from === to || room <= 0) continue;
    counts.set(from.name, counts.get(from.name)! - room);
    counts.set(to.name, counts.get(to.name)! + room);
  }
  return counts;
}
