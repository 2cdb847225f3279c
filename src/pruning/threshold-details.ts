import { reasonsOf, type ThresholdCluster, type ThresholdResult } from '../thresholds/index.js';
import type { ProposalDetails } from './edit.js';

/** What a record has to say of thresholds: each with its reason, how they were found, what was decided, and the front. */
export function thresholdDetails(
  result: ThresholdResult,
  clusters: readonly ThresholdCluster[],
  target: number,
): ProposalDetails {
  const { counts, finalists, chosen, evolution, sensitivities, front, measurements } = result;
  return {
    thresholds: reasonsOf(counts, clusters, { target, found: sensitivities }),
    thresholdFinalists: finalists.map(({ name, tuning, deciding }) => {
      return { name, tuning, deciding, chosen: name === chosen };
    }),
    thresholdSearch: evolution.generations,
    thresholdOperators: evolution.operators,
    thresholdFront: front,
    thresholdSummary: [{ ended: evolution.ended, generations: evolution.generations.length, measurements }],
  };
}

/** A recommendation in a sentence, before it is applied: how far thresholds go apart, and what is expected of them. */
export function expectation(
  { counts, finalists, chosen }: Pick<ThresholdResult, 'counts' | 'finalists' | 'chosen'>,
  { target, clusters }: { readonly target: number; readonly clusters: readonly ThresholdCluster[] },
): string {
  const sparsities = clusters.map(({ name, elements }) => counts.get(name)! / elements);
  const [least, most] = [Math.min(...sparsities), Math.max(...sparsities)].map((value) => percent(value));
  const taken = finalists.find(({ name }) => name === chosen)!;
  const uniform = finalists.find(({ name }) => name === 'uniform')!;
  return `Thresholds for ${percent(target)}: ${clusters.length} clusters lose ${least} to ${most} of their weights (${chosen}). On text that they were not tuned on, a divergence of ${taken.deciding.toFixed(3)} nats a token is expected; the same sparsity everywhere would give ${uniform.deciding.toFixed(3)}.`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
