import { type Random, seededRandom } from '../random.js';
import type { Allocation, Candidate, Contest } from './allocation.js';
import { type BudgetMatrix, budgetOf, type Counts, fitBudget } from './budget.js';

/** Generations of a search, and offspring of each. The paper's search has 64 of 400; docs/evidence.md has what these take. */
const GENERATIONS = 60;
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
 * Evolution from the uniform allocation: offspring move weights from some matrices to others, so that the budget stays met, and
 * the one whose predictions are nearest to the dense model's becomes the parent, unless the parent is nearer. Source: Sieberling
 * et al. 2024, "EvoPress", algorithms 1 and 2.
 */
const evolve: Allocation = {
  kind: 'measured',
  async allocate({ matrices, target, probe, seed, onStep }) {
    const random = seededRandom(seed);
    const contest = await probe.openContest();
    try {
      let parent = fitBudget(matrices, () => target, budgetOf(matrices, target));
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
    const tokens = Math.ceil(share * contest.tokens);
    const divergences = await contest.divergences(
      field.map((counts) => candidateOf(counts, matrices)),
      tokens,
    );
    const ranks = field.map((_, i) => i).sort((a, b) => divergences[a]! - divergences[b]! || a - b);
    field = ranks.slice(0, survivors).map((i) => field[i]!);
  }
  return field[0]!;
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
