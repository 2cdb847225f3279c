import { BirdboneError } from '../errors.js';
import type { Decoder, LinearSpec } from '../model/index.js';
import { type BlockParts, blockParts } from './block-parts.js';
import * as couplings from './couplings.js';
import { grouped } from './grouped.js';
import {
  KINDS_OF_BLOCKS,
  PLATE_KINDS,
  type Plate,
  type PlateKind,
  type PlateRange,
  type PlateSlice,
  parsePlateId,
  plateId,
} from './plate.js';
import { type IndexRange, mergeRanges } from './ranges.js';
import { modelTensors, storedShapes } from './shapes.js';

/**
 * Which slices of which tensors hang together in one model. Everything follows from the decoder's data; plates are made when
 * they are asked for, so a graph costs the same for a thousand channels and for a million.
 *
 * @example
 * const graph = plateGraph(model.decoder);
 * for (const plate of graph.plates('kv-group')) report(plate.id, graph.slices(plate));
 */
export class PlateGraph {
  readonly decoder: Decoder;
  readonly #blocks: readonly BlockParts[];
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  /** The blocks' linears by the stored name of their weight. */
  readonly linears: ReadonlyMap<string, LinearSpec>;

  constructor(decoder: Decoder) {
    this.decoder = decoder;
    this.linears = new Map(decoder.blocks.flatMap(({ linears }) => linears.map((linear) => [linear.weight, linear])));
    this.#blocks = decoder.blocks.map(blockParts);
    this.#shapes = storedShapes(decoder, this.#blocks);
  }

  /** The blocks as coupled parts, in order. */
  get blocks(): readonly BlockParts[] {
    return this.#blocks;
  }

  /** The stored shape of every tensor that plates have slices of, by name. */
  get shapes(): ReadonlyMap<string, readonly number[]> {
    return this.#shapes;
  }

  /** The kinds that this model has plates of. */
  get kinds(): readonly PlateKind[] {
    return PLATE_KINDS.filter((kind) => this.ranges(kind).length > 0);
  }

  /** All plates of a kind as ranges: one per block that has any, or one for the model. A sub-block's range is itself. */
  ranges(kind: PlateKind): PlateRange[] {
    if (kind === 'hidden') return [{ kind, start: 0, count: this.decoder.hidden }];
    if (kind === 'vocabulary') return [{ kind, start: 0, count: this.decoder.vocabulary }];
    return this.#blocks.flatMap((_, block) => {
      const count = this.count(kind, block);
      const start = KINDS_OF_BLOCKS.includes(kind) ? block : 0;
      return count === 0 ? [] : [{ kind, block, start, count }];
    });
  }

  /** How many plates of a kind there are, in the model or in one block. */
  count(kind: PlateKind, block?: number): number {
    if (kind === 'hidden') return this.decoder.hidden;
    if (kind === 'vocabulary') return this.decoder.vocabulary;
    if (block === undefined) return this.ranges(kind).reduce((sum, { count }) => sum + count, 0);
    const parts = this.#blocks[block];
    return parts === undefined ? 0 : countIn(parts, kind);
  }

  /**
   * The sets of a block's channels of which each must keep as many as the others for the block to stay one of a uniform model:
   * all of a dense network, or each expert's.
   */
  families(kind: PlateKind, block: number): IndexRange[] {
    if (kind !== 'ffn-channel') return [{ start: 0, count: this.count(kind, block) }];
    let start = 0;
    return (this.#blocks[block]?.networks ?? []).map(({ channels: count }) => {
      start += count;
      return { start: start - count, count };
    });
  }

  /** Every plate of a kind, in the order of blocks and indices; of one block when it is given. */
  *plates(kind: PlateKind, block?: number): Generator<Plate> {
    for (const range of this.ranges(kind)) {
      if (block === undefined || range.block === block) yield* this.platesOf(range);
    }
  }

  /** The plates of one range. Those of one kind and family have the same number of parameters. */
  *platesOf({ kind, block, start, count }: PlateRange): Generator<Plate> {
    for (let index = start; index < start + count; index += 1) yield this.#plateAt(kind, block, index);
  }

  /** The plate of an id. Throws `usage` for what is no id and for one that this model does not have. */
  plate(id: string): Plate {
    const { kind, block, index } = parsePlateId(id);
    const range = this.ranges(kind).find((candidate) => candidate.block === block);
    if (range === undefined || index < range.start || index >= range.start + range.count) {
      const there = `${this.decoder.blocks.length} blocks, ${this.count(kind, block)} plates of kind ${kind}`;
      const where = block === undefined || range === undefined ? '' : ` in block ${block}`;
      throw new BirdboneError('usage', `The model has no plate ${id}: it has ${there}${where}, counted from 0.`);
    }
    return this.#plateAt(kind, block, index);
  }

  /** What goes with a plate: slices as they are stored, each tensor's merged, in the order of the model. */
  slices({ kind, block, index }: Pick<Plate, 'kind' | 'block' | 'index'>): readonly PlateSlice[] {
    return this.slicesOf({ kind, ...(block !== undefined && { block }), start: index, count: 1 });
  }

  /** What goes with consecutive plates, merged: no more slices than their tensors are cut in pieces. */
  slicesOf(range: PlateRange): readonly PlateSlice[] {
    return mergeSlices(this.#couplings(range));
  }

  /** Stored numbers in slices that do not overlap. */
  parametersOf(slices: readonly PlateSlice[]): number {
    return slices.reduce((sum, { tensor, axis, count }) => {
      const shape = this.#shapes.get(tensor)!;
      return sum + (shape.reduce((product, size) => product * size, 1) / shape[axis]!) * count;
    }, 0);
  }

  #plateAt(kind: PlateKind, block: number | undefined, index: number): Plate {
    const address = { kind, ...(block !== undefined && { block }), index };
    return { id: plateId(address), ...address, parameters: this.parametersOf(this.slices(address)) };
  }

  #couplings(range: PlateRange): Iterable<PlateSlice> {
    const { kind, block, start, count } = range;
    if (kind === 'hidden') return this.#hidden(range);
    if (kind === 'vocabulary') return this.#tokens(range);
    if (kind === 'attention' || kind === 'ffn' || kind === 'block') return this.#subBlocks(kind, range);
    const parts = this.#blocks[block!]!;
    if (kind === 'ffn-channel') return couplings.channelSlices(parts, { start, count });
    return kind === 'kv-group'
      ? couplings.groupSlices(parts, { start, count })
      : couplings.expertSlices(parts, { start, count });
  }

  *#subBlocks(kind: PlateKind, { start, count }: IndexRange): Generator<PlateSlice> {
    const lengthOf = (vector: string) => this.#shapes.get(vector)![0]!;
    for (const parts of this.#blocks.slice(start, start + count)) {
      if (kind !== 'ffn') yield* couplings.attentionSlices(parts, lengthOf);
      if (kind !== 'attention') yield* couplings.feedForwardSlices(parts, lengthOf);
    }
  }

  *#hidden({ start, count }: IndexRange): Generator<PlateSlice> {
    for (const { tensor, hiddenAxis } of modelTensors(this.decoder)) yield { tensor, axis: hiddenAxis, start, count };
    for (const parts of this.#blocks) yield* couplings.hiddenSlices(parts, { start, count });
  }

  *#tokens({ start, count }: IndexRange): Generator<PlateSlice> {
    for (const { tensor, tokens } of modelTensors(this.decoder)) if (tokens) yield { tensor, axis: 0, start, count };
  }
}

/** The dependency graph of a model's plates. Its cost is that of the number of tensors. */
export function plateGraph(decoder: Decoder): PlateGraph {
  return new PlateGraph(decoder);
}

function countIn(parts: BlockParts, kind: PlateKind): number {
  const attention = parts.attention === undefined ? 0 : 1;
  const ffn = parts.networks.length === 0 ? 0 : 1;
  switch (kind) {
    case 'ffn-channel':
      return parts.networks.reduce((sum, { channels }) => sum + channels, 0);
    case 'kv-group':
      return parts.attention?.kvHeads ?? 0;
    case 'expert':
      return parts.router === undefined ? 0 : parts.networks.length;
    case 'attention':
      return attention;
    case 'ffn':
      return ffn;
    case 'block':
      return Math.max(attention, ffn);
    default:
      throw new Error(`no block has plates of kind ${kind}`);
  }
}

/** Slices with those of the same tensor and axis merged, in the order in which they first came. */
function mergeSlices(slices: Iterable<PlateSlice>): PlateSlice[] {
  const byPlace = grouped(slices, ({ tensor, axis }) => `${axis}${tensor}`);
  return [...byPlace.values()].flatMap((parts) => {
    const { tensor, axis } = parts[0]!;
    return mergeRanges(parts).map(({ start, count }) => ({ tensor, axis, start, count }));
  });
}
