import type { Counts } from '../allocation/index.js';
import { extremity, sparsitiesOf } from './fitness.js';
import type { Operator } from './operators.js';
import type { ThresholdCluster } from './threshold-cluster.js';
import type { ThresholdTrial } from './threshold-trial.js';

/** A division and how it was made. */
export interface Contender {
  readonly counts: Counts;
  readonly operator?: Operator;
}

/** A contender that was measured. */
export interface Measured extends Contender {
  /** Mean KL from the dense model, nats. */
  readonly divergence: number;
  /** The divergence with what extreme thresholds cost on top: what contenders are ranked by. */
  readonly fitness: number;
}

/** What contenders are measured by. */
export interface Arena {
  readonly clusters: readonly ThresholdCluster[];
  readonly target: number;
  readonly trial: ThresholdTrial;
  /** Of the divergence that a division without any extremes would have, for an extremity of 1. */
  readonly extremityCost: number;
}

/** All contenders on so many tokens of the tuning text, best first; of equals the first. */
export async function measured(
  contenders: readonly Contender[],
  tokens: number,
  { clusters, target, trial, extremityCost }: Arena,
): Promise<Measured[]> {
  const candidates = contenders.map(({ counts }) => sparsitiesOf(counts, clusters));
  const found = candidates.length === 0 ? [] : await trial.divergences(candidates, 'tuning', tokens);
  return contenders
    .map((contender, i) => {
      const divergence = found[i]!;
      return {
        ...contender,
        divergence,
        fitness: divergence + extremityCost * extremity(contender.counts, clusters, target),
      };
    })
    .sort((a, b) => a.fitness - b.fitness);
}

/** Each stage measures those that the one before let through on more of the text. */
export const STAGES = [
  { share: 1 / 8, survivors: 6 },
  { share: 1 / 2, survivors: 2 },
] as const;

/** What one generation has shown. */
export interface Tournament {
  /** The parent, or the contender that beat it on all of the tuning text. */
  readonly best: Measured;
  /** Contenders on the first part of the text, against the parent there. */
  readonly changes: readonly { readonly contender: Contender; readonly change: number }[];
  /** That beat the parent in the last stage: which way they were made deserves the credit. */
  readonly winners: readonly Measured[];
  readonly measurements: number;
}

/**
 * Contenders against their parent on growing parts of the tuning text: all on an eighth, the best on a half, the best of those on
 * the whole. The parent's figures of each part are given, or measured with them. Source: Sieberling et al. 2024, algorithm 2.
 */
export async function tournament(
  parent: Measured,
  contenders: readonly Contender[],
  { parts, arena }: { readonly parts: ParentParts; readonly arena: Arena },
): Promise<Tournament> {
  let field = contenders;
  let changes: Tournament['changes'] = [];
  let measurements = 0;
  for (const [stage, { share, survivors }] of STAGES.entries()) {
    const tokens = Math.ceil(share * arena.trial.tokens.tuning);
    const known = parts.get(tokens);
    const entrants: Contender[] = known === undefined ? [parent, ...field] : [...field];
    const ranked = await measured(entrants, tokens, arena);
    measurements += entrants.length;
    if (known === undefined) parts.set(tokens, ranked.find(({ counts }) => counts === parent.counts)!.divergence);
    const others = ranked.filter(({ counts }) => counts !== parent.counts);
    if (stage === 0) {
      const before = parts.get(tokens)!;
      changes = others.map((contender) => ({ contender, change: contender.divergence - before }));
    }
    field = others.slice(0, survivors);
  }
  const finals = await measured(field, arena.trial.tokens.tuning, arena);
  measurements += finals.length;
  const winners = finals.filter(({ fitness }) => fitness < parent.fitness);
  return { best: winners[0] ?? parent, changes, winners, measurements };
}

/** The parent's divergences on the parts of the text it was measured on, by their tokens. */
export type ParentParts = Map<number, number>;
