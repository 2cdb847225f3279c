import type { PlateGraph } from './graph.js';
import { grouped } from './grouped.js';
import type { Marks } from './marks.js';
import { type IndexRange, mergeRanges } from './ranges.js';

/** What the marks take from one tensor: rows and columns as they are stored. */
export interface RemovedSlices {
  readonly tensor: string;
  readonly shape: readonly number[];
  /** Merged ranges per axis; a vector has none on axis 1. */
  readonly removed: readonly [readonly IndexRange[], readonly IndexRange[]];
}

/** Returns, for every tensor that loses something, what it loses: all that zeroing and cutting need to know. */
export function removedSlices(graph: PlateGraph, marks: Marks): ReadonlyMap<string, RemovedSlices> {
  const slices = [...marks.ranges()].flatMap((range) => graph.slicesOf(range));
  const byTensor = grouped(slices, ({ tensor }) => tensor);
  const along = (axis: 0 | 1, tensor: string) =>
    mergeRanges(byTensor.get(tensor)!.filter((slice) => slice.axis === axis));
  const entries = [...byTensor.keys()].map((tensor) => {
    const removed = [along(0, tensor), along(1, tensor)] as const;
    return [tensor, { tensor, shape: graph.shapes.get(tensor)!, removed }] as const;
  });
  return new Map(entries);
}

/**
 * The masks that zero everything the marks shed, by tensor: bit i is bit i % 8, lowest first, of byte ⌊i / 8⌋, 1 = kept. They
 * hold a bit for every number of the tensors concerned, together; `zeroMask` makes one at a time.
 */
export function zeroMasks(graph: PlateGraph, marks: Marks): ReadonlyMap<string, Uint8Array> {
  return new Map([...removedSlices(graph, marks)].map(([tensor, removed]) => [tensor, zeroMask(removed)]));
}

/** The mask of one tensor: 0 at the rows and columns that it loses, 1 elsewhere; bits after the last are 0. */
export function zeroMask({ shape, removed: [rows, columns] }: RemovedSlices): Uint8Array {
  const width = shape[1] ?? 1;
  const height = shape[0]!;
  const bits = new Uint8Array(Math.ceil((height * width) / 8)).fill(0xff);
  if ((height * width) % 8 > 0) bits[bits.length - 1] = 2 ** ((height * width) % 8) - 1;
  for (const { start, count } of rows) clear(bits, start * width, count * width);
  if (columns.length > 0) {
    for (let row = 0; row < height; row += 1) {
      for (const { start, count } of columns) clear(bits, row * width + start, count);
    }
  }
  return bits;
}

/** Clears `count` bits from `first` on: whole bytes at once. Positions pass 2^31, so they are divided and not shifted. */
function clear(bits: Uint8Array, first: number, count: number): void {
  const end = first + count;
  let at = first;
  for (; at < end && at % 8 !== 0; at += 1) clearBit(bits, at);
  const wholeEnd = end - (end % 8);
  if (at < wholeEnd) {
    bits.fill(0, at / 8, wholeEnd / 8);
    at = wholeEnd;
  }
  for (; at < end; at += 1) clearBit(bits, at);
}

function clearBit(bits: Uint8Array, position: number): void {
  bits[Math.floor(position / 8)]! &= ~(1 << (position % 8));
}
