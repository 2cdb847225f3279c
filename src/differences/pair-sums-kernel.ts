import { wasm } from '#pair-sums';
import { type Dtype, type Memory, makeRoom, openKernel } from '../tensor/index.js';
import { NO_SUMS, type ValueSums } from './value-sums.js';

/** What the kernel says of two runs of elements; the sums are as in `ValueSums`. */
export interface KernelSums {
  readonly squaresBefore: number;
  readonly squaresAfter: number;
  readonly products: number;
  readonly squaresOfChange: number;
  readonly largestSquare: number;
  readonly changed: number;
  readonly nonZeroBefore: number;
  readonly nonZeroAfter: number;
}

/** The kernel's number of each element type that it takes. */
const KINDS = { BF16: 0, F16: 1, F32: 2 } as const;
type SummedDtype = keyof typeof KINDS;

/** Added to the kernel's number of two types, of which either may be any: an element has changed when its value has. */
const BY_VALUE = 4;

/** Packed elements of a type that the kernel takes. */
export interface SummedValues {
  readonly dtype: SummedDtype;
  readonly bytes: Uint8Array;
}

/**
 * Elements that are summed in one go, and then added to other sums: 2 MiB of bf16, at most 8 MiB of anything. A multiple of 8, so that
 * packed types split between bytes. Another number gives other last digits.
 */
export const CHUNK_ELEMENTS = 2 ** 20;

/** Where the results lie, where the sums so far, and where the elements begin. */
const OUT = 0;
const LANES = 64;
const ELEMENTS = 256;
/** The kernel takes this many elements a turn. */
const TURN = 4;

interface Kernel {
  readonly memory: Memory;
  add(kind: number, before: number, after: number, count: number, lanes: number): void;
  total(lanes: number, out: number): void;
}

let kernel: Kernel | undefined;

/** The kernel, of which a thread has one. */
function theKernel(): Kernel {
  kernel ??= openKernel<Kernel>(wasm);
  return kernel;
}

/** Memory that another kernel works in, so that its values can be summed where they lie: from `free` on it is that kernel's. */
export interface SharedMemory {
  readonly memory: Memory;
  readonly free: number;
}

/** This thread's memory of sums. What others have put there is lost when sums are made of values that lie elsewhere. */
export function sharedMemory(): SharedMemory {
  return { memory: theKernel().memory, free: ELEMENTS };
}

export function hasKernel(dtype: Dtype): dtype is SummedDtype {
  return Object.hasOwn(KINDS, dtype);
}

/**
 * Sums over pairs of elements that come in pieces, in the order of four lanes: the same on every machine, whichever types hold the
 * values, and however they are cut into pieces of whole turns of four. A thread sums one run at a time.
 *
 * Source of the arithmetic: pair-sums.wat.
 */
export class PairSums {
  readonly #kernel: Kernel;
  /** Elements have changed when their bits have, which sides of two types share none of, or when their values have. */
  readonly #changed: 'bits' | 'values';

  constructor(changed: 'bits' | 'values') {
    this.#kernel = theKernel();
    this.#changed = changed;
    new Uint8Array(this.#kernel.memory.buffer, LANES, ELEMENTS - LANES).fill(0);
  }

  /**
   * Adds equally many elements of both sides: whole turns of four, but for the last piece. Whole turns that lie in the kernel's own
   * memory, both sides of them, are summed there; others are copied into it.
   */
  add(before: SummedValues, after: SummedValues): void {
    if (this.#changed === 'bits' && before.dtype !== after.dtype) throw new RangeError('Two types share no bits.');
    const turns = Math.ceil(before.bytes.length / (TURN * elementBytes(before.dtype)));
    const [first, second] =
      this.#lies(before) && this.#lies(after) ? [before, after].map(placeOf) : this.#copy(turns, before, after);
    const [x, y] = [KINDS[before.dtype], KINDS[after.dtype]];
    this.#kernel.add(this.#changed === 'bits' ? x : BY_VALUE + x + 4 * y, first!, second!, turns * TURN, LANES);
  }

  #lies({ dtype, bytes }: SummedValues): boolean {
    return bytes.buffer === this.#kernel.memory.buffer && bytes.length % (TURN * elementBytes(dtype)) === 0;
  }

  #copy(turns: number, before: SummedValues, after: SummedValues): [number, number] {
    const second = ELEMENTS + turns * TURN * elementBytes(before.dtype);
    const end = second + turns * TURN * elementBytes(after.dtype);
    const { memory } = this.#kernel;
    makeRoom(memory, end);
    place(memory, before.bytes, ELEMENTS, second);
    place(memory, after.bytes, second, end);
    return [ELEMENTS, second];
  }

  /** What the sums have come to; where an element was not finite they are not either, or undefined. */
  total(): KernelSums | undefined {
    this.#kernel.total(LANES, OUT);
    return sumsAt(new DataView(this.#kernel.memory.buffer, OUT, LANES));
  }
}

/** Sums over two runs of equally many packed elements, as `PairSums`. */
export function sumByKernel(
  before: SummedValues,
  after: SummedValues,
  changed: 'bits' | 'values',
): KernelSums | undefined {
  const sums = new PairSums(changed);
  sums.add(before, after);
  return sums.total();
}

function placeOf({ bytes }: SummedValues): number {
  return bytes.byteOffset;
}

function elementBytes(dtype: SummedDtype): number {
  return dtype === 'F32' ? 4 : 2;
}

function sumsAt(out: DataView): KernelSums | undefined {
  const float = (index: number): number => out.getFloat64(index * 8, true);
  const count = (index: number): number => out.getUint32(40 + index * 4, true);
  const hasSpecialHalf = count(3) !== 0;
  if (hasSpecialHalf) return undefined;
  return {
    squaresBefore: float(0),
    squaresAfter: float(1),
    products: float(2),
    squaresOfChange: float(3),
    largestSquare: float(4),
    changed: count(0),
    nonZeroBefore: count(1),
    nonZeroAfter: count(2),
  };
}

/** Copies a side into the kernel's memory, filled up with zeros to whole turns. */
function place(memory: Memory, side: Uint8Array, start: number, end: number): void {
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(side, start);
  bytes.fill(0, start + side.length, end);
}

/** A kernel's sums of so many elements as the others have them; undefined when one was not finite. */
export function finiteSums(found: KernelSums | undefined, elements: number): ValueSums | undefined {
  // One element that is not finite makes its square so, and the squares of float32 never overflow float64.
  if (found === undefined || !Number.isFinite(found.squaresBefore + found.squaresAfter)) return undefined;
  const { nonZeroBefore, nonZeroAfter, ...sums } = found;
  const zeros = { zerosBefore: elements - nonZeroBefore, zerosAfter: elements - nonZeroAfter };
  return { ...NO_SUMS, ...sums, ...zeros, elements };
}
