import type { Counts } from '../allocation/index.js';
import type { Random } from '../random.js';
import type { Operator } from './operators.js';
import type { ThresholdCluster } from './threshold-cluster.js';

/** Clusters that lose more or fewer weights together. */
type Group = readonly ThresholdCluster[];

/** A mutation moves min(U(1, 3), U(1, 3)) times: mostly once (EvoPress). */
const MOST_MOVES = 3;

export interface MoveRequest {
  readonly clusters: readonly ThresholdCluster[];
  readonly operator: Operator;
  /** One draw of what the clusters' next weights may cost, each. */
  readonly prices: readonly number[];
  readonly random: Random;
}

/**
 * The parent with some of what it removes moved from clusters to others: the sum stays what it was, and every cluster within its
 * bounds. `priced` takes from where the next weights are dear to where they are cheap, by the drawn prices; the others choose by
 * chance: two clusters anywhere, two matrices, or two blocks.
 */
export function moved(parent: Counts, { clusters, operator, prices, random }: MoveRequest): Counts {
  const counts = new Map(parent);
  const moves = Math.min(1 + random.below(MOST_MOVES), 1 + random.below(MOST_MOVES));
  const groups = groupsOf(clusters, operator);
  const drawn = operator.name === 'priced' ? pricedPairs(clusters, prices, moves) : undefined;
  for (let move = 0; move < moves; move += 1) {
    const [from, to] = drawn === undefined ? pairOf(groups, random) : (drawn[move] ?? []);
    if (from !== undefined && to !== undefined && from !== to) shift(counts, { from, to, step: operator.step });
  }
  return counts;
}

function groupsOf(clusters: readonly ThresholdCluster[], { name }: Operator): Group[] {
  if (name === 'priced' || name === 'pair') return clusters.map((cluster) => [cluster]);
  const groups = new Map<string | number, ThresholdCluster[]>();
  for (const cluster of clusters) {
    const key = name === 'matrix' ? cluster.matrix : cluster.block;
    groups.set(key, [...(groups.get(key) ?? []), cluster]);
  }
  return [...groups.values()];
}

/** Any group, and any of its pool. */
function pairOf(groups: readonly Group[], random: Random): readonly [Group, Group] {
  const from = groups[random.below(groups.length)]!;
  const others = groups.filter(([first]) => first!.pool === from[0]!.pool);
  return [from, others[random.below(others.length)]!];
}

/**
 * Dear clusters with cheap ones of the same pool, those furthest apart first: of each pool the dearest and the cheapest, the second of
 * each, and so on.
 */
function pricedPairs(
  clusters: readonly ThresholdCluster[],
  prices: readonly number[],
  count: number,
): (readonly [Group, Group])[] {
  const byPrice = clusters.map((_, i) => i).sort((a, b) => prices[b]! - prices[a]! || a - b);
  const pools = new Map<number, number[]>();
  for (const i of byPrice) pools.set(clusters[i]!.pool, [...(pools.get(clusters[i]!.pool) ?? []), i]);
  const pairs = [...pools.values()].flatMap((own) =>
    Array.from({ length: Math.floor(own.length / 2) }, (_, k) => [own[k]!, own.at(-1 - k)!] as const),
  );
  const gap = ([dear, cheap]: readonly [number, number]) => prices[dear]! - prices[cheap]!;
  return pairs
    .sort((a, b) => gap(b) - gap(a))
    .slice(0, count)
    .map(([dear, cheap]) => [[clusters[dear]!], [clusters[cheap]!]]);
}

/** Moves removals between two groups, over each group's clusters by their room, as far as there is room in both. */
function shift(
  counts: Map<string, number>,
  { from, to, step }: { readonly from: Group; readonly to: Group; readonly step: number },
): void {
  const give = from.map((cluster) => Math.max(0, counts.get(cluster.name)! - leastOf(cluster)));
  const take = to.map((cluster) => Math.max(0, mostOf(cluster) - counts.get(cluster.name)!));
  const wanted = Math.max(1, Math.round(step * Math.min(sizeOf(from), sizeOf(to))));
  const amount = Math.min(wanted, sum(give), sum(take));
  if (amount <= 0) return;
  for (const [i, part] of portions(amount, give).entries())
    counts.set(from[i]!.name, counts.get(from[i]!.name)! - part);
  for (const [i, part] of portions(amount, take).entries()) counts.set(to[i]!.name, counts.get(to[i]!.name)! + part);
}

/** Whole parts of an amount in the proportion of `rooms`, none above its room; they add up to it. */
function portions(amount: number, rooms: readonly number[]): number[] {
  const total = sum(rooms);
  let before = 0;
  let given = 0;
  return rooms.map((room) => {
    before += room;
    const upTo = Math.round((amount * before) / total);
    const part = upTo - given;
    given = upTo;
    return part;
  });
}

export function leastOf({ gone, least = 0 }: ThresholdCluster): number {
  return Math.max(gone, least);
}

export function mostOf({ gone, most, elements }: ThresholdCluster): number {
  return Math.max(gone, most ?? elements);
}

function sizeOf(group: Group): number {
  return sum(group.map(({ elements }) => elements));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
