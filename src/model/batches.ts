import { BirdboneError } from '../errors.js';
import type { Device } from '../tensor/index.js';
import type { Decoder } from './decoder.js';

/** Passages that go through the model together: a rectangle of ids, short rows padded at the end. */
export interface TokenBatch {
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns] row-major; 0 behind a row's end. Causal attention never lets a real position see them. */
  readonly ids: Int32Array;
  /** Real ids of each row. */
  readonly lengths: Int32Array;
  /** Which passage each row is: an index into the list that was batched. */
  readonly passages: Int32Array;
}

/**
 * What the largest intermediate of one batch may take unless the caller says otherwise. Measured on novels-5m on the
 * CPU: four times as much saves a tenth of the time and costs 160 MB; an eighth costs a third more time.
 */
const INTERMEDIATE_BYTES = 32 * 2 ** 20;

/**
 * Returns how many tokens one batch of `context`-token rows may hold so that no intermediate of the forward pass
 * (attention scores heads·t², FFN, hidden states) is above `bytes` or above what the device computes right; at least
 * one row.
 * Throws `out-of-memory` when a single row is already too large for the device.
 */
export function tokensPerBatch(decoder: Decoder, context: number, device: Device, bytes = INTERMEDIATE_BYTES): number {
  const rowBytes = 4 * context * valuesPerToken(decoder, context);
  if (rowBytes > device.maxTensorBytes) {
    throw new BirdboneError(
      'out-of-memory',
      `One window of ${context} tokens needs a tensor of ${rowBytes} bytes; ` +
        `device ${device.name} computes at most ${device.maxTensorBytes} right.`,
      { suggestions: ['Use a smaller --context.', 'Use --device cpu.'] },
    );
  }
  const rows = Math.floor(Math.min(bytes, device.maxTensorBytes) / rowBytes);
  return Math.max(1, rows) * context;
}

/** Values of one token in the largest intermediate of the forward pass: a linear's input or output, or scores. */
export function valuesPerToken(decoder: Decoder, context: number): number {
  const { hidden, ffn, heads, headDim } = decoder;
  // Of fused weights the output is wider than what it is divided into.
  const widths = decoder.blocks.flatMap(({ linears }) => linears.map(({ rows }) => rows));
  return widths.reduce((most, width) => Math.max(most, width), Math.max(hidden, ffn, heads * headDim, heads * context));
}

/**
 * The length of text that decides how a model turns queries and keys: longer passages must not share a batch with others, which
 * padding makes longer. Infinite for models that turn all texts alike.
 */
export function apartAbove({ ropeScaling }: Pick<Decoder, 'ropeScaling'>): number {
  return ropeScaling.kind === 'longrope' ? ropeScaling.originalContext : Number.POSITIVE_INFINITY;
}

/**
 * Returns batches that cover every passage once, each at most `maxTokens` ids padding included, or one row if that row
 * alone is longer. Passages of like length share a batch, longest first, so equal windows are never padded; order is
 * otherwise kept. No batch has passages on both sides of `apart` tokens (`apartAbove`).
 * Throws RangeError for an empty passage.
 */
export function batchesOf(
  passages: readonly { readonly ids: Int32Array }[],
  maxTokens: number,
  apart = Number.POSITIVE_INFINITY,
): TokenBatch[] {
  if (passages.some(({ ids }) => ids.length === 0)) throw new RangeError('a passage without ids');
  const order = passages.map((_, index) => index);
  order.sort((a, b) => passages[b]!.ids.length - passages[a]!.ids.length || a - b);
  const batches: TokenBatch[] = [];
  for (let start = 0; start < order.length; ) {
    const columns = passages[order[start]!]!.ids.length;
    const fitting = order.slice(start, start + Math.max(1, Math.floor(maxTokens / columns)));
    const alike = fitting.filter((passage) => passages[passage]!.ids.length > apart === columns > apart);
    batches.push(batchOf(passages, alike));
    start += alike.length;
  }
  return batches;
}

function batchOf(passages: readonly { readonly ids: Int32Array }[], members: readonly number[]): TokenBatch {
  const columns = passages[members[0]!]!.ids.length;
  const ids = new Int32Array(members.length * columns);
  members.forEach((passage, row) => {
    ids.set(passages[passage]!.ids, row * columns);
  });
  return {
    rows: members.length,
    columns,
    ids,
    lengths: Int32Array.from(members, (passage) => passages[passage]!.ids.length),
    passages: Int32Array.from(members),
  };
}

/** Whether some row of the batch ends before the others. */
export function isPadded(batch: TokenBatch): boolean {
  return batch.lengths.some((length) => length < batch.columns);
}

/** Positions row · columns + column of the batch's real ids, in order. */
export function realPositions(batch: TokenBatch): Int32Array {
  const positions: number[] = [];
  batch.lengths.forEach((length, row) => {
    for (let column = 0; column < length; column++) positions.push(row * batch.columns + column);
  });
  return Int32Array.from(positions);
}
