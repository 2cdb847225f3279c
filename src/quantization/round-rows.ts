import { type ChunkOfSums, ChunkSums, isWholeChunks, type WalkedElements } from '../differences/index.js';
import { encodeFromF32 } from '../tensor/index.js';
import { rowBytesOf } from './bit-stream.js';
import { elementsOf } from './elements.js';
import { notFinite, scalesOfRanges } from './range-scales.js';
import { isRoundedFrom, type RoundedFrom, RowsInKernel, type Squares } from './rounding-kernel.js';
import type { Scheme } from './scheme.js';
import { tilesOf } from './tiles.js';

/** Whole rows of a matrix as it is stored, to be rounded to nearest under scales of their largest values. */
export interface RoundJob {
  readonly bytes: Uint8Array;
  readonly from: RoundedFrom;
  readonly columns: number;
  readonly scheme: Scheme;
  /** Which of the matrix's elements these are, where the sums of a diff are wanted of the chunks that lie wholly in them. */
  readonly summed?: WalkedElements;
}

/** Rows in the bytes of their stored form (see `toParts`). */
export interface RoundedRows {
  readonly codes: Uint8Array;
  readonly scales: Uint8Array;
  /** Of asymmetric schemes. */
  readonly zeroPoints?: Uint8Array<ArrayBuffer>;
  readonly squares: Squares;
  /** Sums over values as stored and as rounded, of those chunks that were asked for. */
  readonly chunks?: readonly ChunkOfSums[];
}

/** Values that the kernel has at once: their float32 stays in a core's cache. */
const KERNEL_VALUES = 65_536;

/** Whether `roundRows` can take it: integers whose scales are of one row each, from the types that models are stored in. */
export function canRoundRows({ type, bits, strategy }: Scheme, from: string): from is RoundedFrom {
  return type === 'int' && bits <= 8 && (strategy === 'group' || strategy === 'channel') && isRoundedFrom(from);
}

/**
 * The rows in codes: byte for byte what `toParts(quantizeMatrix(…))` makes of them with the search `absmax`. Of the squares, which are
 * summed in lanes, the last digits are their own, and the same on every machine. Throws as `quantizeMatrix`.
 *
 * The codes may be put into `memory` of the caller's, which may be that of the job's own bytes: they begin no later, are fewer, and are
 * put where bytes have been read.
 */
export function roundRows({ bytes, from, columns, scheme, summed }: RoundJob, memory?: Uint8Array): RoundedRows {
  const elementBytes = from === 'F32' ? 4 : 2;
  const rows = bytes.length / elementBytes / columns;
  if (!Number.isInteger(rows)) throw new RangeError(`${bytes.length} bytes are no rows of ${columns} ${from}.`);
  const { grid, tileColumns } = tilesOf(scheme, rows, columns);
  const rowBytes = rowBytesOf(columns, scheme.bits);
  const codes = memory === undefined ? new Uint8Array(rows * rowBytes) : memory.subarray(0, rows * rowBytes);
  const scales = new Float32Array(rows * grid[1]);
  const zeroPoints = scheme.symmetric ? undefined : new Uint8Array(scales.length);
  const squares = { error: 0, norm: 0 };
  // Sums are made in turns of four elements, which are not to begin within a row.
  const changed = from === 'F32' ? 'bits' : 'values';
  const sums = summed !== undefined && columns % 4 === 0 ? new ChunkSums(summed, changed) : undefined;
  // Of whole chunks the sums of a diff have them.
  const wantsSquares = sums === undefined || !isWholeChunks(summed!, rows * columns);
  const step = Math.max(1, Math.floor(KERNEL_VALUES / columns));
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const stored = bytes.subarray(row * columns * elementBytes, (row + count) * columns * elementBytes);
    const shape = { rows: count, columns, tileColumns: Math.min(tileColumns, columns), bits: scheme.bits };
    const part = roundPart(new RowsInKernel(stored, from, shape), scheme, [count, grid[1]]);
    scales.set(part.scales, row * grid[1]);
    zeroPoints?.set(part.zeros, row * grid[1]);
    const { error, norm } = part.encode(codes.subarray(row * rowBytes, (row + count) * rowBytes), wantsSquares);
    squares.error += error;
    squares.norm += norm;
    if (sums) addPair(sums, part.pair());
  }
  if (!wantsSquares) addSquares(squares, sums!.chunks);
  const stored = encodeFromF32(scales, scheme.scaleDtype);
  return { codes, scales: stored, ...(zeroPoints && { zeroPoints }), squares, ...(sums && { chunks: sums.chunks }) };
}

/** The scales of rows that are in the kernel, and what encodes them. */
function roundPart(rows: RowsInKernel, scheme: Scheme, grid: readonly [number, number]) {
  const { hasNaN, ...ranges } = rows.ranges();
  // NaN is in no range; what is infinite is the end of one.
  if (hasNaN || ranges.least.includes(-Infinity) || ranges.most.includes(Infinity)) throw notFinite();
  const elements = elementsOf(scheme);
  const { values, zeroPoints } = scalesOfRanges(ranges, scheme, elements, { grid });
  const zeros = zeroPoints ?? new Float32Array(values.length).fill(elements.center);
  return {
    scales: values,
    zeros,
    encode: (packed: Uint8Array, wantsSquares: boolean) => rows.encode({ scales: values, zeros }, packed, wantsSquares),
    pair: () => rows.pair,
  };
}

function addSquares(squares: { error: number; norm: number }, chunks: readonly ChunkOfSums[]): void {
  for (const { sums } of chunks) {
    squares.error += sums.squaresOfChange;
    squares.norm += sums.squaresBefore;
  }
}

function addPair(sums: ChunkSums, [before, after]: RowsInKernel['pair']): void {
  sums.add({ dtype: 'F32', bytes: before }, { dtype: 'F32', bytes: after });
}
