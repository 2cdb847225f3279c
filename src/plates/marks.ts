import { unreadable } from '../checkpoint/index.js';
import type { PlateGraph } from './graph.js';
import { grouped } from './grouped.js';
import {
  KINDS_IN_BLOCKS,
  PLATE_KINDS,
  type PlateAddress,
  type PlateKind,
  type PlateRange,
  parsePlateId,
  plateId,
} from './plate.js';
import { countOf, holdsIndex, type IndexRange, mergeRanges, rangesText, subtractRanges } from './ranges.js';
import { readMarks } from './read-marks.js';

/** Indices as text, or indices as text per block, by kind: {"ffn-channel": {"3": "0-4,17"}, "attention": "3,5"}. */
export type MarksJson = { readonly [kind in PlateKind]?: string | Readonly<Record<string, string>> };

/** Plates of one kind, and of one block where plates of the kind lie in blocks; `ranges` are merged and not empty. */
interface Group {
  readonly kind: PlateKind;
  readonly block?: number;
  readonly ranges: readonly IndexRange[];
}

/**
 * An immutable set of plates: those that are shed. It holds ranges, not plates, so half of a model's channels take a line. A
 * sub-block in the set says nothing of the channels in it: both may be there.
 *
 * @example
 * const marks = Marks.none.with(graph.plates('kv-group', 0)).without([graph.plate('kv-group:0:1')]);
 * const stored = JSON.stringify(marks);
 * Marks.from(JSON.parse(stored), graph); // the same set
 */
export class Marks {
  static readonly none = new Marks(new Map());
  readonly #groups: ReadonlyMap<string, Group>;

  private constructor(groups: ReadonlyMap<string, Group>) {
    this.#groups = groups;
  }

  /** The set of these plates, or of whole ranges of them. */
  static of(plates: Iterable<PlateAddress | PlateRange>): Marks {
    const groups = [...grouped(plates, keyOf)].map(([key, members]): [string, Group] => {
      return [key, { ...placeOf(members[0]!), ranges: mergeRanges(members.map(rangeOf)) }];
    });
    return new Marks(new Map(groups));
  }

  /**
   * The set that `toJSON` wrote, of plates that the graph has. Throws `unreadable` for anything else; `file` is what the
   * message names.
   */
  static from(json: unknown, graph: PlateGraph, file: string): Marks {
    const ranges = readMarks(json, graph);
    if (typeof ranges === 'string') throw unreadable(file, `its marks of plates ${ranges}`);
    return Marks.of(ranges);
  }

  /** How many plates are in it. */
  get size(): number {
    return [...this.#groups.values()].reduce((sum, { ranges }) => sum + countOf(ranges), 0);
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  /** This set and those plates. */
  with(plates: Marks | Iterable<PlateAddress | PlateRange>): Marks {
    return Marks.of([...this.ranges(), ...(plates instanceof Marks ? plates.ranges() : plates)]);
  }

  /** This set but for those plates. */
  without(plates: Marks | Iterable<PlateAddress | PlateRange>): Marks {
    const removed = plates instanceof Marks ? plates : Marks.of(plates);
    const groups = new Map<string, Group>();
    for (const [key, group] of this.#groups) {
      const ranges = subtractRanges(group.ranges, removed.#groups.get(key)?.ranges ?? []);
      if (ranges.length > 0) groups.set(key, { ...group, ranges });
    }
    return new Marks(groups);
  }

  /** Whether the plate of this id is in the set. Throws `usage` for what is no id. */
  has(id: string): boolean {
    const address = parsePlateId(id);
    return holdsIndex(this.indices(address.kind, address.block), address.index);
  }

  /** The indices of a kind that are in the set, merged; of one block where plates of the kind lie in blocks. */
  indices(kind: PlateKind, block?: number): readonly IndexRange[] {
    return this.#groups.get(keyOf({ kind, ...(block !== undefined && { block }) }))?.ranges ?? [];
  }

  /** What is in the set as few ranges, by kind, block and index. */
  *ranges(): Generator<PlateRange> {
    for (const { ranges, ...place } of this.#ordered()) for (const range of ranges) yield { ...place, ...range };
  }

  /** Ids by kind, block and index. */
  *ids(): Generator<string> {
    for (const { start, count, ...place } of this.ranges()) {
      for (let index = start; index < start + count; index += 1) yield plateId({ ...place, index });
    }
  }

  /** The set as text that does not depend on how it came about; `Marks.from` reads it. */
  toJSON(): MarksJson {
    const json: Record<string, string | Record<string, string>> = {};
    for (const { kind, block, ranges } of this.#ordered()) {
      if (block === undefined) json[kind] = rangesText(ranges);
      else json[kind] = { ...(json[kind] as Record<string, string> | undefined), [block]: rangesText(ranges) };
    }
    return json;
  }

  #ordered(): Group[] {
    const rank = ({ kind }: Group) => PLATE_KINDS.indexOf(kind);
    return [...this.#groups.values()].sort((a, b) => rank(a) - rank(b) || (a.block ?? 0) - (b.block ?? 0));
  }
}

type Place = Pick<PlateRange, 'kind' | 'block'>;

/** A sub-block's index is its block, so the sub-blocks of all blocks make one group. */
function placeOf({ kind, block }: Place): Place {
  return KINDS_IN_BLOCKS.includes(kind) && block !== undefined ? { kind, block } : { kind };
}

function keyOf(place: Place): string {
  const { kind, block } = placeOf(place);
  return block === undefined ? kind : `${kind}:${block}`;
}

function rangeOf(member: PlateAddress | PlateRange): IndexRange {
  return 'index' in member ? { start: member.index, count: 1 } : { start: member.start, count: member.count };
}
