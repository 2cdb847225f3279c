import type { RankedRange } from './aggressiveness.js';
import type { PlateGraph } from './graph.js';
import { KINDS_OF_BLOCKS, type PlateKind, type PlateRange } from './plate.js';
import type { Protection } from './protection.js';
import { allowedRemoval } from './targets.js';

/** How many of each family must stay; what is to be kept are the plates with the largest scores. */
export interface StayRule {
  readonly kinds: readonly PlateKind[];
  /** Of what stays of a family, the number is a multiple of this. */
  readonly multiple: number;
  readonly why: (kept: number, of: number) => string;
}

/** One plate of each family, of experts as many as a token goes through: without, nothing would pass from input to logits. */
export const LAST_PLATE: StayRule = {
  kinds: ['ffn-channel', 'kv-group', 'expert', 'attention', 'ffn', 'block', 'hidden', 'vocabulary'],
  multiple: 1,
  why: (kept, of) =>
    kept === 1
      ? `of ${of} it is the one with the largest score, and one must stay for anything to pass`
      : `of ${of} it is one of the ${kept} with the largest scores, and each token goes through so many`,
};

/**
 * The plates with the largest scores, as many as must stay by the rule whatever is shed. A family is a network's channels, a
 * block's KV groups or experts; of sub-blocks, blocks, dimensions and tokens the whole model's.
 */
export function protectLast(
  graph: PlateGraph,
  ranked: readonly Pick<RankedRange, 'range' | 'scores'>[],
  rule: StayRule,
): Protection[] {
  const found: Protection[] = [];
  for (const kind of rule.kinds) {
    const ofKind = ranked.filter(({ range }) => range.kind === kind);
    const families = KINDS_OF_BLOCKS.includes(kind)
      ? [ofKind.flatMap(platesOf)]
      : ofKind.flatMap((entry) => familiesOf(graph, entry));
    for (const family of families) found.push(...strongest(family, rule, leastOf(graph, kind, family)));
  }
  return found;
}

interface ScoredPlate {
  readonly range: PlateRange;
  readonly score: number;
}

function platesOf({ range, scores }: Pick<RankedRange, 'range' | 'scores'>): ScoredPlate[] {
  return [...scores].map((score, i) => ({ range: { ...range, start: range.start + i, count: 1 }, score }));
}

function familiesOf(graph: PlateGraph, entry: Pick<RankedRange, 'range' | 'scores'>): ScoredPlate[][] {
  const { kind, block } = entry.range;
  const plates = platesOf(entry);
  if (block === undefined) return [plates];
  return graph.families(kind, block).map(({ start, count }) => plates.slice(start, start + count));
}

/** How many of a family must stay, whatever an engine's multiples. */
function leastOf({ decoder }: PlateGraph, kind: PlateKind, [first]: readonly ScoredPlate[]): number {
  const block = kind === 'expert' ? first?.range.block : undefined;
  return block === undefined ? 1 : (decoder.blocks[block]?.experts?.perToken ?? 1);
}

function strongest(family: ScoredPlate[], { multiple, why }: StayRule, least: number): Protection[] {
  if (family.length === 0) return [];
  const kept = Math.max(least, family.length - allowedRemoval(family.length, family.length, multiple));
  const reason = multiple === 1 ? 'last-plate' : 'target';
  return family
    .toSorted((a, b) => b.score - a.score)
    .slice(0, kept)
    .map(({ range }) => ({ plates: range, reason, why: why(kept, family.length), release: Number.POSITIVE_INFINITY }));
}
