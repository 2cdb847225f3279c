import { BirdboneError } from '../../errors.js';
import { countOf, holdsIndex, type Marks, type PlateGraph, subtractRanges } from '../../plates/index.js';

/** How wide one block is. */
export interface BlockWidths {
  /** Its index before the cut. */
  readonly block: number;
  /** Query heads; 0 where the block has no attention. */
  readonly heads: number;
  readonly kvHeads: number;
  /** Inner channels of the feed-forward network, or of each expert; 0 where the block has none. */
  readonly ffn: number;
  /** Experts that stay, by number; absent for a dense network. */
  readonly experts?: readonly number[];
}

/** How wide a model is. Blocks without attention and network are not in it. */
export interface ModelWidths {
  readonly hidden: number;
  readonly vocabulary: number;
  readonly headDim: number;
  readonly blocks: readonly BlockWidths[];
}

/**
 * How wide a model is without the marked plates; with `Marks.none`, as it is. Throws `unsupported`, with the plates at fault, for
 * marks that leave nothing that could be a model: no block, no dimension, experts of one block that differ.
 */
export function widthsWithout(graph: PlateGraph, marks: Marks): ModelWidths {
  const { decoder } = graph;
  const left = (kind: 'hidden' | 'vocabulary', size: number) => size - countOf(marks.indices(kind));
  const widths = {
    hidden: left('hidden', decoder.hidden),
    vocabulary: left('vocabulary', decoder.vocabulary),
    headDim: decoder.headDim,
    blocks: graph.blocks
      .map((_, block) => blockWidths(graph, marks, block))
      .filter(({ heads, ffn }) => heads > 0 || ffn > 0),
  };
  if (widths.blocks.length === 0) throw nothingLeft('every block');
  if (widths.hidden === 0) throw nothingLeft('every hidden dimension');
  if (widths.vocabulary === 0) throw nothingLeft('every token');
  return widths;
}

function blockWidths(graph: PlateGraph, marks: Marks, block: number): BlockWidths {
  const { attention } = graph.blocks[block]!;
  const gone = marks.has(`block:${block}`);
  const groups = attention === undefined ? 0 : attention.kvHeads - countOf(marks.indices('kv-group', block));
  const kvHeads = gone || marks.has(`attention:${block}`) ? 0 : groups;
  const network =
    gone || marks.has(`ffn:${block}`) || graph.count('ffn', block) === 0
      ? { ffn: 0 }
      : networkWidths(graph, marks, block);
  return { block, kvHeads, heads: kvHeads * (attention?.queriesPerGroup ?? 0), ...network };
}

function networkWidths(graph: PlateGraph, marks: Marks, block: number): Pick<BlockWidths, 'ffn' | 'experts'> {
  const removed = marks.indices('ffn-channel', block);
  const isMixture = graph.count('expert', block) > 0;
  const shedExperts = marks.indices('expert', block);
  const families = graph.families('ffn-channel', block);
  const experts = families.flatMap((_, expert) => (isMixture && holdsIndex(shedExperts, expert) ? [] : [expert]));
  const left = new Set(experts.map((expert) => countOf(subtractRanges([families[expert]!], removed))));
  if (left.size > 1) {
    throw new BirdboneError(
      'unsupported',
      `The experts of block ${block} would keep ${[...left].join(' and ')} channels; a config has one width for all.`,
      { suggestions: ['Shed the same number of channels of each expert.'] },
    );
  }
  const [ffn = 0] = left;
  return { ffn, ...(isMixture && { experts }) };
}

/** Whether all blocks are equally wide, so that a config can say it once. */
export function isUniform({ blocks }: ModelWidths): boolean {
  const [first] = blocks;
  const same = (key: (block: BlockWidths) => number) => blocks.every((block) => key(block) === key(first!));
  return (
    blocks.every(({ heads, ffn }) => heads > 0 && ffn > 0) &&
    same(({ heads }) => heads) &&
    same(({ kvHeads }) => kvHeads) &&
    same(({ ffn }) => ffn) &&
    same(({ experts }) => experts?.length ?? 0)
  );
}

function nothingLeft(what: string): BirdboneError {
  return new BirdboneError('unsupported', `The marks shed ${what} of the model; nothing is left to run.`);
}
