import { BirdboneError } from '../../errors.js';
import type { PlateGraph } from '../../plates/index.js';
import { groupStep, nearestKept, type Step, type Target, widthStep } from './steps.js';

/** Kinds whose plates narrow a block. */
export type WidthKind = 'kv-group' | 'ffn-channel';

/** What of a model a share is to be shed of. */
export interface Share {
  /** Fraction of the blocks' parameters that goes, all waves together. */
  readonly sparsity: number;
  readonly kinds: readonly WidthKind[];
  readonly target: Target;
}

/** How many plates of each kind go from each block, all waves together. */
export type Allotment = Readonly<Record<WidthKind, readonly number[]>>;

/** One block's plates of one kind: how many there are, how many numbers each has, and in which steps they go. */
export interface Stock extends Step {
  readonly block: number;
  readonly kind: WidthKind;
  readonly count: number;
  /** Experts: each has `count / families` channels and loses as many as the others. */
  readonly families: number;
  readonly parameters: number;
}

/** Every kind's plates, block by block; blocks without any are left out. */
export function stocksOf(graph: PlateGraph, { kinds, target }: Pick<Share, 'kinds' | 'target'>): Stock[] {
  return graph.decoder.blocks.flatMap(({ index }) =>
    kinds.flatMap((kind) => {
      const count = graph.count(kind, index);
      const [first] = graph.plates(kind, index);
      if (first === undefined) return [];
      const families = kind === 'ffn-channel' ? graph.families(kind, index).length : 1;
      const attention = graph.blocks[index]!.attention;
      const step =
        kind === 'ffn-channel'
          ? widthStep(target, count / families)
          : groupStep(target, { groups: count, groupColumns: attention!.queriesPerGroup * attention!.headDim });
      return [{ block: index, kind, count, families, parameters: first.parameters, ...step }];
    }),
  );
}

/** Numbers stored in the blocks: what sparsity is a fraction of. */
export function blockParameters(graph: PlateGraph): number {
  return graph.decoder.blocks.reduce((sum, { index }) => {
    const slices = graph.slicesOf({ kind: 'block', block: index, start: index, count: 1 });
    return sum + graph.parametersOf(slices);
  }, 0);
}

/**
 * The same share of every block: of each kind, as near to the sparsity as whole plates and the engine's multiples allow. Where
 * heads go with channels, the channels make up for what whole groups are too much or too little. Throws `usage` for more than
 * the kinds hold.
 */
export function uniformAllotment(graph: PlateGraph, share: Share): Allotment {
  const stocks = stocksOf(graph, share);
  const fraction = evenFraction(graph, share);
  const removed = emptyAllotment(graph);
  for (const { index } of graph.decoder.blocks) {
    const own = stocks.filter(({ block }) => block === index);
    let owed = fraction * own.reduce((sum, { count, parameters }) => sum + count * parameters, 0);
    // Groups first: they are the coarser, and channels can then be exact.
    const coarseFirst = [...own].sort((a, b) => b.parameters - a.parameters);
    coarseFirst.forEach((stock, at) => {
      const isLast = at === coarseFirst.length - 1;
      const plates = isLast ? owed / stock.parameters : fraction * stock.count;
      const gone = roundedRemoval(stock, plates);
      removed[stock.kind][index] = gone;
      owed -= gone * stock.parameters;
    });
  }
  return removed;
}

/** The part of all plates of these kinds that a share is. Throws `usage` for more than the kinds hold. */
export function evenFraction(graph: PlateGraph, share: Share): number {
  const held = stocksOf(graph, share).reduce((sum, { count, parameters }) => sum + count * parameters, 0);
  const all = blockParameters(graph);
  if (share.sparsity * all >= held) throw tooMuch(share, held / all);
  return (share.sparsity * all) / held;
}

/** How many of a stock go when about `wanted` should: the same number of each family, and what stays is a multiple of the step. */
export function roundedRemoval({ count, families, step }: Stock, wanted: number): number {
  const width = count / families;
  return families * (width - nearestKept(width, width - Math.max(0, wanted) / families, step));
}

export function emptyAllotment(graph: PlateGraph): Record<WidthKind, number[]> {
  const none = () => graph.decoder.blocks.map(() => 0);
  return { 'kv-group': none(), 'ffn-channel': none() };
}

/** Fraction of the blocks' parameters that an allotment takes. */
export function sparsityOf(graph: PlateGraph, allotment: Allotment, share: Pick<Share, 'kinds' | 'target'>): number {
  const removed = stocksOf(graph, share).reduce(
    (sum, { block, kind, parameters }) => sum + allotment[kind][block]! * parameters,
    0,
  );
  return removed / blockParameters(graph);
}

function tooMuch({ sparsity, kinds }: Share, most: number): BirdboneError {
  const what = kinds.map((kind) => (kind === 'kv-group' ? 'KV groups' : 'FFN channels')).join(' and ');
  return new BirdboneError(
    'usage',
    `A sparsity of ${sparsity} cannot be reached with ${what}: all of them are ${most.toFixed(3)} of the blocks' parameters.`,
    { suggestions: ['Ask for less: --sparsity 0.25', 'Shed heads and channels: --plates auto'] },
  );
}
