import type { PlateGraph } from './graph.js';
import { Marks } from './marks.js';
import { KINDS_IN_BLOCKS, KINDS_OF_BLOCKS, type Plate, type PlateRange } from './plate.js';
import { holdsIndex } from './ranges.js';

/** `first-block`, `last-block`, `outlier-channel`, `attention-sink`: critical pathways. The others break something. */
export type ProtectionReason =
  | 'first-block'
  | 'last-block'
  | 'outlier-channel'
  | 'attention-sink'
  | 'special-token'
  | 'last-plate'
  | 'target'
  | 'shape';

/** Plates that stay, and why. */
export interface Protection {
  readonly plates: PlateRange;
  readonly reason: ProtectionReason;
  /** One sentence with the figures. */
  readonly why: string;
  /** The aggressiveness from which on it no longer holds; Infinity where shedding would break something. */
  readonly release: number;
}

/** Protections of a model's plates, looked up by plate. */
export class Protections {
  readonly list: readonly Protection[];

  readonly #all: Marks;

  constructor(list: readonly Protection[]) {
    this.list = list;
    this.#all = Marks.of(list.map(({ plates }) => plates));
  }

  /** What protects a plate, the strictest first; empty when nothing does. */
  of({ kind, block, index }: Pick<Plate, 'kind' | 'block' | 'index'>): Protection[] {
    const place = KINDS_IN_BLOCKS.includes(kind) ? block : undefined;
    const holds = ({ plates }: Protection) =>
      plates.kind === kind &&
      (place === undefined || plates.block === place) &&
      index >= plates.start &&
      index < plates.start + plates.count;
    return this.list.filter(holds).sort((a, b) => b.release - a.release);
  }

  /** Whether anything protects a plate at aggressiveness 0; fast enough to be asked of every plate of a model. */
  isProtected({ kind, block }: Pick<PlateRange, 'kind' | 'block'>, index: number): boolean {
    return holdsIndex(this.#all.indices(kind, KINDS_IN_BLOCKS.includes(kind) ? block : undefined), index);
  }

  /** Everything that stays at an aggressiveness. */
  at(aggressiveness: number): Marks {
    return Marks.of(this.list.filter(({ release }) => release > aggressiveness).map(({ plates }) => plates));
  }

  /** For each plate of a range the aggressiveness from which on nothing protects it; 0 where nothing does. */
  releases(range: PlateRange): Float64Array {
    const releases = new Float64Array(range.count);
    for (const { plates, release } of this.list) {
      if (plates.kind !== range.kind || (KINDS_IN_BLOCKS.includes(range.kind) && plates.block !== range.block))
        continue;
      const from = Math.max(plates.start, range.start);
      const end = Math.min(plates.start + plates.count, range.start + range.count);
      for (let index = from; index < end; index += 1) {
        releases[index - range.start] = Math.max(releases[index - range.start]!, release);
      }
    }
    return releases;
  }
}

export interface BoundaryOptions {
  /** Blocks at either end that are critical pathways. */
  readonly first: number;
  readonly last: number;
  /**
   * Whether the channels, heads and experts inside them are protected, too. Not where all blocks must stay equally wide: then
   * they give as many as the others.
   */
  readonly inside: boolean;
}

/**
 * The first and last blocks: what the first ones write is read by all others, and nothing corrects the last ones (LLM-Pruner
 * keeps 4 and 2 of 32). The aggressiveness a protects ⌈n · (1 − a)⌉ of n blocks, outermost last to be released.
 */
export function protectBoundary(graph: PlateGraph, { first, last, inside }: BoundaryOptions): Protection[] {
  const total = graph.blocks.length;
  const kinds = inside ? [...KINDS_OF_BLOCKS, ...KINDS_IN_BLOCKS] : KINDS_OF_BLOCKS;
  const ofBlock = (block: number, reason: 'first-block' | 'last-block', at: number, of: number) =>
    kinds.flatMap((kind) =>
      graph
        .ranges(kind)
        .filter((range) => range.block === block)
        .map((plates): Protection => {
          const ordinal = at === 0 ? '' : `${at + 1}. `;
          const which = reason === 'first-block' ? `the ${ordinal}first` : `the ${ordinal}last`;
          return { plates, reason, why: `block ${block} is ${which} of ${total}`, release: 1 - at / of };
        }),
    );
  return [
    ...Array.from({ length: Math.min(first, total) }, (_, at) => ofBlock(at, 'first-block', at, first)),
    ...Array.from({ length: Math.min(last, total) }, (_, at) => ofBlock(total - 1 - at, 'last-block', at, last)),
  ].flat();
}

/** The plates of ranges that shedding would break a model, for a reason in words. */
export function protectAlways(ranges: Iterable<PlateRange>, reason: ProtectionReason, why: string): Protection[] {
  return [...ranges].map((plates) => ({ plates, reason, why, release: Number.POSITIVE_INFINITY }));
}
