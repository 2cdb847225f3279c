import type { Checkpoint, ReadRange } from '../checkpoint/index.js';
import { rowsOfWholeChunks } from '../differences/index.js';
import { canRoundRows, type RoundedRows, type RowRounder } from '../quantization/index.js';
import { readAhead } from '../threads/index.js';
import type { QuantizeTarget } from './quantizer.js';

export interface StripOptions {
  readonly rounder: RowRounder;
  /** Whether the sums of a diff are wanted, of as many chunks as lie whole in a strip. */
  readonly summed: boolean;
}

/** The next rows of a target, rounded. They are there until the next strip is asked for. */
export interface RoundedStrip {
  readonly target: QuantizeTarget;
  readonly rows: RoundedRows;
}

/** Of a strip, where chunks of a diff do not ask for a longer one: some milliseconds of a thread's work, and little memory. */
const USUAL_BYTES = 8 * 2 ** 20;

/** Whether `roundedStrips` takes a weight's scheme, stored type and layout. */
export function canRoundStrips(checkpoint: Checkpoint, { spec, scheme }: QuantizeTarget): boolean {
  const { dtype, byteLength } = storedOf(checkpoint, spec.weight);
  return spec.layout !== 'in-out' && byteLength > 0 && canRoundRows(scheme, dtype);
}

/**
 * The weights of the targets rounded to nearest, one after the other, in strips of rows, of which a few more than the rounder has
 * threads are under way, also over the end of a weight.
 */
export async function* roundedStrips(
  checkpoint: Checkpoint,
  targets: readonly QuantizeTarget[],
  { rounder, summed }: StripOptions,
): AsyncGenerator<RoundedStrip, void, undefined> {
  const { memory } = rounder;
  const strips = function* () {
    for (const target of targets) {
      for (const range of stripsOf(checkpoint, target, memory.bytes)) {
        yield () => roundStrip(checkpoint, target, range, { rounder, summed });
      }
    }
  };
  for await (const { piece, ...strip } of readAhead(strips(), rounder.parallel + 1)) {
    yield strip;
    if (piece !== undefined) memory.give(piece);
  }
}

function* stripsOf(checkpoint: Checkpoint, { spec }: QuantizeTarget, bytes: number): Generator<ReadRange> {
  const { byteLength } = storedOf(checkpoint, spec.weight);
  const rowBytes = byteLength / spec.rows;
  // Rows after which a diff's chunk ends with a row: a chunk that reaches into another strip would have to be read for its sums.
  const wholeBytes = rowsOfWholeChunks(spec.columns) * rowBytes;
  const unitBytes = wholeBytes <= bytes ? wholeBytes : rowBytes;
  const stripBytes = Math.max(1, Math.floor(USUAL_BYTES / unitBytes)) * unitBytes;
  for (let offset = 0; offset < byteLength; offset += stripBytes) {
    yield { offset, length: Math.min(stripBytes, byteLength - offset) };
  }
}

/** A strip, and the piece of spare memory that it lies in: none for rows that do not fit into one. */
async function roundStrip(
  checkpoint: Checkpoint,
  target: QuantizeTarget,
  range: ReadRange,
  { rounder, summed }: StripOptions,
): Promise<RoundedStrip & { readonly piece: Uint8Array | undefined }> {
  const { spec, scheme } = target;
  const { weight, rows, columns } = spec;
  const { dtype: from, byteLength } = storedOf(checkpoint, weight);
  if (!canRoundRows(scheme, from)) throw new RangeError(`Rows of ${weight}, ${from}, cannot be rounded in strips.`);
  const piece = range.length <= rounder.memory.bytes ? rounder.memory.take() : undefined;
  const read = await checkpoint.read(weight, { ...range, ...(piece && { into: piece }) });
  const bytes = piece?.subarray(0, range.length) ?? read;
  // A checkpoint may make them itself, elsewhere.
  if (read.buffer !== bytes.buffer) bytes.set(read);
  const walked = { first: (range.offset / byteLength) * rows * columns, elements: rows * columns };
  return {
    target,
    rows: await rounder.round({ bytes, from, columns, scheme, ...(summed && { summed: walked }) }),
    piece,
  };
}

function storedOf({ tensors, aliases }: Checkpoint, weight: string) {
  return tensors.get(aliases.get(weight) ?? weight)!;
}
