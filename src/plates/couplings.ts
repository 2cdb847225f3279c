import type { LinearSpec } from '../model/index.js';
import type { BlockParts, FeedForwardPart } from './block-parts.js';
import type { PlateSlice } from './plate.js';
import type { IndexRange } from './ranges.js';
import { inputs, outputs, roleRows, rolesOf } from './stored-slices.js';

/** Key and value heads `range` with the query heads that read them. Norms over a head's dimensions serve all heads and stay. */
export function* groupSlices({ attention }: BlockParts, range: IndexRange): Generator<PlateSlice> {
  if (attention === undefined) return;
  const keys = scaled(range, attention.headDim);
  const queries = scaled(range, attention.headDim * attention.queriesPerGroup);
  for (const linear of attention.linears) {
    if (linear.role === 'o') yield inputs(linear, queries);
    else for (const role of rolesOf(linear)) yield* roleRows(linear, role, role === 'q' ? queries : keys);
  }
}

/**
 * Inner channels `range` of a block's feed-forward networks, which are numbered through: channel c of expert e is
 * e × channels + c.
 */
export function* channelSlices({ networks }: BlockParts, range: IndexRange): Generator<PlateSlice> {
  let before = 0;
  for (const network of networks) {
    const start = Math.max(range.start, before);
    const end = Math.min(range.start + range.count, before + network.channels);
    if (start < end) yield* channelsOf(network, { start: start - before, count: end - start });
    before += network.channels;
  }
}

function* channelsOf({ linears }: FeedForwardPart, range: IndexRange): Generator<PlateSlice> {
  for (const linear of linears) {
    if (linear.role === 'down') yield inputs(linear, range);
    else for (const role of rolesOf(linear)) yield* roleRows(linear, role, range);
  }
}

/** Experts `range` with everything of theirs, and their rows of the router. */
export function* expertSlices({ networks, router }: BlockParts, range: IndexRange): Generator<PlateSlice> {
  if (router === undefined) return;
  for (const { linears } of networks.slice(range.start, range.start + range.count)) {
    for (const linear of linears) yield* whole(linear);
  }
  yield* outputs(router, range);
}

/** All of the attention sub-block. */
export function* attentionSlices({ attention }: BlockParts, lengthOf: (vector: string) => number) {
  if (attention === undefined) return;
  for (const linear of attention.linears) yield* whole(linear);
  for (const vector of attention.vectors) yield wholeVector(vector, lengthOf(vector));
}

/** All of the feed-forward sub-block: its networks, its router and its norms. */
export function* feedForwardSlices(parts: BlockParts, lengthOf: (vector: string) => number) {
  if (parts.networks.length === 0) return;
  for (const { linears } of parts.networks) for (const linear of linears) yield* whole(linear);
  if (parts.router !== undefined) yield* whole(parts.router);
  for (const vector of parts.ffnVectors) yield wholeVector(vector, lengthOf(vector));
}

/** Dimensions `range` of the residual stream inside a block: what reads them, what writes them, and the norms. */
export function* hiddenSlices(parts: BlockParts, range: IndexRange): Generator<PlateSlice> {
  const networks = parts.networks.flatMap(({ linears }) => linears);
  const linears = [...(parts.attention?.linears ?? []), ...networks, ...(parts.router ? [parts.router] : [])];
  for (const linear of linears) {
    if (linear.role === 'o' || linear.role === 'down') yield* outputs(linear, range);
    else yield inputs(linear, range);
  }
  for (const tensor of parts.hiddenVectors) yield { tensor, axis: 0, ...range };
}

function* whole(linear: LinearSpec): Generator<PlateSlice> {
  yield* outputs(linear, { start: 0, count: linear.rows });
}

function wholeVector(tensor: string, length: number): PlateSlice {
  return { tensor, axis: 0, start: 0, count: length };
}

function scaled({ start, count }: IndexRange, factor: number): IndexRange {
  return { start: start * factor, count: count * factor };
}
