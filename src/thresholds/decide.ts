import type { Counts } from '../allocation/index.js';
import { sparsitiesOf } from './fitness.js';
import type { NamedStart } from './optimise.js';
import type { Arena } from './tournament.js';

/** A division that came to the final decision: mean KL from the dense model in nats, on both texts. */
export interface Finalist {
  readonly name: string;
  readonly counts: Counts;
  readonly tuning: number;
  readonly deciding: number;
}

/** All finalists by what they do on the deciding text, the best first; of equals the first given. */
export async function decide(
  contenders: readonly NamedStart[],
  { clusters, trial }: Pick<Arena, 'clusters' | 'trial'>,
): Promise<Finalist[]> {
  const candidates = contenders.map(({ counts }) => sparsitiesOf(counts, clusters));
  const tuning = await trial.divergences(candidates, 'tuning', trial.tokens.tuning);
  const deciding = await trial.divergences(candidates, 'deciding', trial.tokens.deciding);
  return contenders
    .map((contender, i) => ({ ...contender, tuning: tuning[i]!, deciding: deciding[i]! }))
    .sort((a, b) => a.deciding - b.deciding);
}
