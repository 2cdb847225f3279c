import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import { Marks, type PlateGraph, plateGraph } from '../plates/index.js';
import {
  type Allotment,
  type Share,
  sparsityOf,
  stocksOf,
  uniformAllotment,
  type WidthKind,
} from './budget/allotment.js';
import { refuseUncuttable } from './cut/cut-model.js';

/** How a share is divided among the blocks. */
export type SheddingPattern = 'uniform' | 'targeted' | 'adaptive';

/**
 * Makes sure, before anything is measured, that what a share of a model would leave can be written and loaded by its target, and
 * returns what loading it will cost. Throws `usage` or `unsupported`, with the rule that fails and what would pass: blocks of
 * unequal widths or heads for an engine without them, heads that do not divide over devices, a share that the engine's multiples
 * round to nothing, a width that no config of this architecture can say.
 */
export async function checkTarget(model: Model, share: Share, pattern: SheddingPattern): Promise<readonly string[]> {
  const graph = plateGraph(model.decoder);
  refuseUnequal(share, pattern);
  refuseUndivided(graph, share);
  const allotment = uniformAllotment(graph, share);
  refuseNothing(graph, share, allotment);
  await refuseUncuttable(model, likelyMarks(graph, allotment, pattern));
  const notices = stocksOf(graph, share).map(({ notice }) => notice);
  return [...new Set(notices.filter((notice) => notice !== undefined))];
}

function refuseUnequal({ target: { rules }, kinds }: Share, pattern: SheddingPattern): void {
  if (pattern === 'uniform') return;
  const engines = 'Load it elsewhere: --target llama.cpp';
  if (rules.unequalBlocks === undefined) {
    throw new BirdboneError(
      'usage',
      `--shedding ${pattern} makes blocks of different widths, which --target ${rules.name} does not load: ${rules.reason}.`,
      { suggestions: ['Shed the same share of every block: --shedding uniform', engines] },
    );
  }
  if (kinds.includes('kv-group') && !rules.unequalHeads) {
    throw new BirdboneError(
      'usage',
      `--shedding ${pattern} of heads makes blocks of different numbers of query heads, and --target ${rules.name} reads one number for all.`,
      { suggestions: ['Shed channels alone: --plates ffn', 'Shed heads evenly: --shedding uniform', engines] },
    );
  }
}

function refuseUndivided(graph: PlateGraph, { target: { rules, shards } }: Share): void {
  if (!rules.sharded || shards === 1) return;
  for (const { index, heads, kvHeads } of graph.decoder.blocks) {
    if (heads % shards === 0 && kvHeads % shards === 0) continue;
    throw new BirdboneError(
      'usage',
      `--tp ${shards} does not divide the ${heads} query heads and ${kvHeads} KV heads of block ${index}; ${rules.name} puts as many on each device.`,
      { suggestions: ['Use a number of devices that divides both: --tp 1'] },
    );
  }
}

function refuseNothing(graph: PlateGraph, share: Share, allotment: Allotment): void {
  if (sparsityOf(graph, allotment, share) > 0) return;
  const stocks = stocksOf(graph, share);
  const steps = stocks.map(({ kind, step, count }) => `${step} of ${count} ${NAMES[kind]}`);
  const least = leastSparsity(graph, share);
  throw new BirdboneError(
    'usage',
    `A sparsity of ${share.sparsity} is less than half a step: --target ${share.target.rules.name} takes them in steps of ${[...new Set(steps)].join(', ')}.`,
    {
      suggestions:
        least === undefined
          ? ['Use another engine: --target hf takes any width.']
          : [
              `Ask for a whole step: --sparsity ${least.toFixed(4)}`,
              'Use another engine: --target hf takes any width.',
            ],
    },
  );
}

const NAMES: Readonly<Record<WidthKind, string>> = { 'ffn-channel': 'FFN channels', 'kv-group': 'KV groups' };

/** The sparsity of one step less of the kind whose steps are smallest; undefined where nothing is above one step. */
function leastSparsity(graph: PlateGraph, share: Share): number | undefined {
  const one = (kind: WidthKind) => {
    const removed = graph.decoder.blocks.map(({ index }) => {
      const stock = stocksOf(graph, share).find((found) => found.block === index && found.kind === kind);
      return stock === undefined || stock.count / stock.families <= stock.step ? 0 : stock.step * stock.families;
    });
    const other = graph.decoder.blocks.map(() => 0);
    const allotment = { 'kv-group': other, 'ffn-channel': other, [kind]: removed } as Allotment;
    return sparsityOf(graph, allotment, share);
  };
  const steps = share.kinds.map(one).filter((sparsity) => sparsity > 0);
  return steps.length === 0 ? undefined : Math.min(...steps);
}

/**
 * Plates of which as many go as will go; which ones does not matter to a config. A pattern that makes blocks unequal is stood for
 * by one more or one less in the first block.
 */
function likelyMarks(graph: PlateGraph, allotment: Allotment, pattern: SheddingPattern): Marks {
  const ranges = graph.decoder.blocks.flatMap(({ index }) =>
    (['kv-group', 'ffn-channel'] as const).flatMap((kind) => {
      const families = graph.families(kind, index);
      const each = allotment[kind][index]! / families.length;
      const uneven = pattern !== 'uniform' && index === 0 && each > 0 ? each - 1 : each;
      return families.flatMap(({ start }) => (uneven > 0 ? [{ kind, block: index, start, count: uneven }] : []));
    }),
  );
  return Marks.of(ranges);
}
