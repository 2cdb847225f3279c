import { quoted } from '../checkpoint/index.js';
import type { PlateGraph } from './graph.js';
import { KINDS_IN_BLOCKS, KINDS_OF_BLOCKS, PLATE_KINDS, type PlateKind, type PlateRange } from './plate.js';
import { type IndexRange, parseRanges } from './ranges.js';

/**
 * Returns what marks read from a file say, as ranges of plates that the graph has; or what is wrong with them, in words. Cost
 * and memory are those of the text, which must be no longer than the model's plates written one by one.
 */
export function readMarks(json: unknown, graph: PlateGraph): PlateRange[] | string {
  if (!isObject(json)) return 'are not an object of plates by kind';
  const ranges: PlateRange[] = [];
  for (const [name, value] of Object.entries(json)) {
    const kind = PLATE_KINDS.find((known) => known === name);
    if (kind === undefined) return `are of a kind ${quoted(name)}; the kinds are ${PLATE_KINDS.join(', ')}`;
    const read = KINDS_IN_BLOCKS.includes(kind) ? readBlocks(kind, value, graph) : readWhole(kind, value, graph);
    if (typeof read === 'string') return read;
    for (const range of read) ranges.push(range);
  }
  return ranges;
}

function readBlocks(kind: PlateKind, value: unknown, graph: PlateGraph): PlateRange[] | string {
  if (!isObject(value)) return `of kind ${kind} are not an object of indices by block`;
  const ranges: PlateRange[] = [];
  for (const [name, text] of Object.entries(value)) {
    const block = /^(0|[1-9]\d{0,8})$/.test(name) ? Number(name) : Number.NaN;
    const count = graph.count(kind, block);
    if (count === 0) return `of kind ${kind} are in block ${quoted(name)}, which has none`;
    const indices = readIndices(text, count);
    if (typeof indices === 'string') return `of kind ${kind} in block ${block}: the text ${indices}`;
    for (const range of indices) ranges.push({ kind, block, ...range });
  }
  return ranges;
}

function readWhole(kind: PlateKind, value: unknown, graph: PlateGraph): PlateRange[] | string {
  const ofBlocks = KINDS_OF_BLOCKS.includes(kind);
  const indices = readIndices(value, ofBlocks ? graph.blocks.length : graph.count(kind));
  if (typeof indices === 'string') return `of kind ${kind}: the text ${indices}`;
  const absent = ofBlocks ? firstAbsent(kind, indices, graph) : undefined;
  if (absent !== undefined) return `of kind ${kind} hold ${absent}; that block has none`;
  return indices.map((range) => ({ kind, ...range }));
}

/** A block that the marks name and that has no such sub-block. */
function firstAbsent(kind: PlateKind, indices: readonly IndexRange[], graph: PlateGraph): number | undefined {
  for (const { start, count } of indices) {
    for (let block = start; block < start + count; block += 1) if (graph.count(kind, block) === 0) return block;
  }
  return undefined;
}

function readIndices(value: unknown, size: number): IndexRange[] | string {
  return typeof value === 'string' ? parseRanges(value, size) : 'is missing: indices are text such as "0-4,17"';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
