import { wasm } from '#rounding';
import { sharedMemory } from '../differences/index.js';
import { makeRoom, openKernel, type WidenKernel, widenKernel } from '../tensor/index.js';

/** Element types whose rows are rounded here, and the bytes of one. */
const ELEMENT_BYTES = { BF16: 2, F16: 2, F32: 4 } as const;
export type RoundedFrom = keyof typeof ELEMENT_BYTES;

/** The kernels read and write whole vectors, two at a time, and words of 8 bytes. */
const ROOM_BYTES = 32;
/** The place of sums that nobody wants: nothing is put there. */
const NOWHERE = 0;

export interface Kernel {
  ranges(x: number, rows: number, columns: number, tile: number, least: number, most: number): number;
  encode(
    ...[x, rows, columns, tile, scales, zeros, bits, codes, packed, rounded, sums]: [
      ...[number, number, number, number, number, number],
      ...[number, number, number, number, number],
    ]
  ): void;
  decode(
    ...[packed, rows, columns, tile, scales, zeros, bits, codes, values]: [
      ...[number, number, number, number, number],
      ...[number, number, number, number],
    ]
  ): void;
}

let kernels: { readonly kernel: Kernel; readonly widen: WidenKernel } | undefined;

/** The kernels, of which a thread has one each, and their memory with room for so many bytes; it may be another memory than before. */
export function kernelsWithRoom(bytes: number): NonNullable<typeof kernels> & { readonly buffer: ArrayBuffer } {
  const { memory } = sharedMemory();
  kernels ??= { kernel: openKernel<Kernel>(wasm, memory), widen: widenKernel(memory) };
  makeRoom(memory, bytes);
  return { ...kernels, buffer: memory.buffer };
}

/** Gives places in the kernel's memory, one after the other, each with the room that the kernel wants behind it. */
export class Places {
  end = sharedMemory().free;

  take(bytes: number): number {
    const at = this.end;
    this.end += Math.ceil(bytes / ROOM_BYTES) * ROOM_BYTES + ROOM_BYTES;
    return at;
  }
}

/** Rows of stored elements, and how many of a row's share a scale. */
export interface RowShape {
  readonly rows: number;
  readonly columns: number;
  readonly tileColumns: number;
  readonly bits: number;
}

/** Σ (x − q)² and Σ x², in double precision. */
export interface Squares {
  readonly error: number;
  readonly norm: number;
}

/** Extremes of the runs that share a scale, 0 among them, row by row; and whether a value was no number. */
export interface RunRanges {
  readonly least: Float32Array;
  readonly most: Float32Array;
  readonly hasNaN: boolean;
}

export function isRoundedFrom(dtype: string): dtype is RoundedFrom {
  return Object.hasOwn(ELEMENT_BYTES, dtype);
}

/**
 * Rounds rows in two steps, between which the caller makes scales of the ranges. One at a time: they share the kernel's memory, which
 * grows to what the largest rows need. Source of the arithmetic: rounding.wat.
 */
export class RowsInKernel {
  readonly #kernel: Kernel;
  readonly #buffer: ArrayBuffer;
  readonly #shape: RowShape;
  readonly #runs: number;
  readonly #places: RowPlaces;

  constructor(stored: Uint8Array, from: RoundedFrom, shape: RowShape) {
    this.#shape = shape;
    this.#runs = shape.rows * Math.ceil(shape.columns / shape.tileColumns);
    this.#places = placesOf(shape, this.#runs, ELEMENT_BYTES[from]);
    const { kernel, widen, buffer } = kernelsWithRoom(this.#places.end);
    [this.#kernel, this.#buffer] = [kernel, buffer];
    const at = from === 'F32' ? this.#places.values : this.#places.stored;
    new Uint8Array(buffer).set(stored, at);
    if (from !== 'F32') widen[from](at, shape.rows * shape.columns, this.#places.values);
  }

  ranges(): RunRanges {
    const { values, first, second } = this.#places;
    const { rows, columns, tileColumns } = this.#shape;
    const hasNaN = this.#kernel.ranges(values, rows, columns, tileColumns, first, second) !== 0;
    return { least: this.#floats(first).slice(), most: this.#floats(second).slice(), hasNaN };
  }

  /** Writes the rows' codes, dense, to the start of `packed`; returns Σ (x − q)² and Σ x² where they are wanted, and zeros else. */
  encode(
    { scales, zeros }: { readonly scales: Float32Array; readonly zeros: ArrayLike<number> },
    packed: Uint8Array,
    wantsSquares: boolean,
  ): Squares {
    const { values, first, second, codes, packed: to, rounded, sums } = this.#places;
    const { rows, columns, tileColumns, bits } = this.#shape;
    this.#floats(first).set(scales);
    this.#floats(second).set(zeros);
    const bytes = new Uint8Array(this.#buffer);
    bytes.fill(0, codes, to);
    bytes.fill(0, sums, sums + 16);
    const squares = wantsSquares ? sums : NOWHERE;
    this.#kernel.encode(values, rows, columns, tileColumns, first, second, bits, codes, to, rounded, squares);
    packed.set(bytes.subarray(to, to + rows * Math.ceil((columns * bits) / 8)));
    const [error, norm] = new Float64Array(this.#buffer, sums, 2);
    return { error: error!, norm: norm! };
  }

  /** The values, and what the codes stand for once they are encoded: in the kernel's memory, until it is used again. */
  get pair(): readonly [values: Uint8Array, rounded: Uint8Array] {
    const { values, rounded } = this.#places;
    const bytes = 4 * this.#shape.rows * this.#shape.columns;
    return [new Uint8Array(this.#buffer, values, bytes), new Uint8Array(this.#buffer, rounded, bytes)];
  }

  #floats(at: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#buffer, at, this.#runs);
  }
}

/** Where things lie in the kernel's memory. `first` and `second`: least and most, then scales and zeros. */
type RowPlaces = ReturnType<typeof placesOf>;

function placesOf({ rows, columns, bits }: RowShape, runs: number, elementBytes: number) {
  const places = new Places();
  return {
    sums: places.take(16),
    stored: places.take(rows * columns * elementBytes),
    values: places.take(rows * columns * 4),
    first: places.take(runs * 4),
    second: places.take(runs * 4),
    codes: places.take(columns),
    packed: places.take(rows * Math.ceil((columns * bits) / 8)),
    rounded: places.take(rows * columns * 4),
    end: places.end,
  };
}
