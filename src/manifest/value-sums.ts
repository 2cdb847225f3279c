import { type Dtype, decodeToF32, isBlockDtype } from '../tensor/index.js';
import { hasKernel, type KernelSums, sumByKernel } from './value-sums-kernel.js';
import { decodeToF64, elementBytes, elementView } from './values.js';

/**
 * Sums over pairs of elements, x before and y after, in float64. Pairs with a side that is not finite have counters of their
 * own and are in no other sum.
 */
export interface ValueSums {
  elements: number;
  /** Pairs whose stored bits differ; whose values differ where the two dtypes do, or where blocks share their bits. */
  changed: number;
  zerosBefore: number;
  zerosAfter: number;
  nonFiniteBefore: number;
  nonFiniteAfter: number;
  /** Σx² */
  squaresBefore: number;
  /** Σy² */
  squaresAfter: number;
  /** Σxy */
  products: number;
  /** Σ(y − x)² */
  squaresOfChange: number;
  /** max (y − x)² */
  largestSquare: number;
}

export interface StoredValues {
  readonly dtype: Dtype;
  readonly bytes: Uint8Array;
}

export const NO_SUMS: Readonly<ValueSums> = {
  elements: 0,
  changed: 0,
  zerosBefore: 0,
  zerosAfter: 0,
  nonFiniteBefore: 0,
  nonFiniteAfter: 0,
  squaresBefore: 0,
  squaresAfter: 0,
  products: 0,
  squaresOfChange: 0,
  largestSquare: 0,
};

export function mergeSums(left: ValueSums, right: ValueSums): ValueSums {
  const merged = { ...left };
  for (const key of Object.keys(NO_SUMS) as (keyof ValueSums)[]) merged[key] += right[key];
  merged.largestSquare = Math.max(left.largestSquare, right.largestSquare);
  return merged;
}

/** The sums over two runs of equally many elements. Both dtypes must have values (`hasValues`). */
export function sumPairs(before: StoredValues, after: StoredValues): ValueSums {
  const sameDtype = before.dtype === after.dtype;
  if (sameDtype) {
    const sums = sumSameDtype(before.dtype, before.bytes, after.bytes);
    if (sums !== undefined) return sums;
  }
  const [x, y] = [decodeToF64(before.bytes, before.dtype), decodeToF64(after.bytes, after.dtype)];
  const changed =
    sameDtype && !isBlockDtype(before.dtype)
      ? countDifferentBits(before.bytes, after.bytes, elementBytes(before.dtype))
      : countDifferentValues(x, y);
  return { ...sumValues(x, y), changed };
}

/** The sums by the fast way that the type has; undefined when it has none, or when an element is not finite. */
function sumSameDtype(dtype: Dtype, before: Uint8Array, after: Uint8Array): ValueSums | undefined {
  const elements = before.length / elementBytes(dtype);
  const found = hasKernel(dtype) ? sumByKernel(dtype, before, after) : sumByTable(dtype, before, after);
  // One element that is not finite makes its square so, and the squares of float32 never overflow float64.
  if (found === undefined || !Number.isFinite(found.squaresBefore + found.squaresAfter)) return undefined;
  const { nonZeroBefore, nonZeroAfter, ...sums } = found;
  const zeros = { zerosBefore: elements - nonZeroBefore, zerosAfter: elements - nonZeroAfter };
  return { ...NO_SUMS, ...sums, ...zeros, elements };
}

function sumByTable(dtype: Dtype, before: Uint8Array, after: Uint8Array): KernelSums | undefined {
  const zeroMask = ZERO_MASKS[dtype];
  if (zeroMask === undefined) return undefined;
  return sumCodes(codesOf(dtype, before), codesOf(dtype, after), { table: tableOf(dtype), zeroMask });
}

function codesOf(dtype: Dtype, bytes: Uint8Array): Uint8Array | Uint16Array {
  return elementBytes(dtype) === 1 ? bytes : elementView(Uint16Array, bytes);
}

/** Types of 8 and 16 bits that the kernel does not take: the bits that are all 0 in a zero, which leaves out the sign of a float. */
const ZERO_MASKS: Partial<Record<Dtype, number>> = {
  BOOL: 0xff,
  U8: 0xff,
  I8: 0xff,
  F8_E5M2: 0x7f,
  F8_E4M3: 0x7f,
  U16: 0xffff,
  I16: 0xffff,
};

const tables = new Map<Dtype, Float32Array>();

/** The value of every code of an 8- or 16-bit type. */
function tableOf(dtype: Dtype): Float32Array {
  let table = tables.get(dtype);
  if (table === undefined) {
    const codes =
      elementBytes(dtype) === 1
        ? Uint8Array.from({ length: 256 }, (_, i) => i)
        : Uint16Array.from({ length: 65_536 }, (_, i) => i);
    table = decodeToF32(new Uint8Array(codes.buffer), dtype);
    tables.set(dtype, table);
  }
  return table;
}

/** Counts without branches: at 50 % sparsity one on "changed" or "zero" is mispredicted every other time. */
function sumCodes(
  before: Uint8Array | Uint16Array,
  after: Uint8Array | Uint16Array,
  { table, zeroMask }: { readonly table: Float32Array; readonly zeroMask: number },
): KernelSums {
  let [squaresBefore, squaresAfter, products, squaresOfChange, largestSquare] = [0, 0, 0, 0, 0];
  let [changed, nonZeroBefore, nonZeroAfter] = [0, 0, 0];
  for (let i = 0; i < before.length; i += 1) {
    const codeBefore = before[i]!;
    const codeAfter = after[i]!;
    const x = table[codeBefore]!;
    const y = table[codeAfter]!;
    const square = (y - x) * (y - x);
    squaresBefore += x * x;
    squaresAfter += y * y;
    products += x * y;
    squaresOfChange += square;
    if (square > largestSquare) largestSquare = square;
    // (n + 0xffff) >>> 16 is 0 for 0 and 1 for 1 … 0xffff.
    changed += ((codeBefore ^ codeAfter) + 0xffff) >>> 16;
    nonZeroBefore += ((codeBefore & zeroMask) + 0xffff) >>> 16;
    nonZeroAfter += ((codeAfter & zeroMask) + 0xffff) >>> 16;
  }
  return {
    squaresBefore,
    squaresAfter,
    products,
    squaresOfChange,
    largestSquare,
    changed,
    nonZeroBefore,
    nonZeroAfter,
  };
}

/** Every sum but `changed`, for any values. */
function sumValues(before: Float64Array, after: Float64Array): ValueSums {
  const sums: ValueSums = { ...NO_SUMS, elements: before.length };
  for (let i = 0; i < before.length; i += 1) {
    const x = before[i]!;
    const y = after[i]!;
    if (x === 0) sums.zerosBefore += 1;
    if (y === 0) sums.zerosAfter += 1;
    if (Number.isFinite(x) && Number.isFinite(y)) {
      const square = (y - x) * (y - x);
      sums.squaresBefore += x * x;
      sums.squaresAfter += y * y;
      sums.products += x * y;
      sums.squaresOfChange += square;
      sums.largestSquare = Math.max(sums.largestSquare, square);
    } else {
      if (!Number.isFinite(x)) sums.nonFiniteBefore += 1;
      if (!Number.isFinite(y)) sums.nonFiniteAfter += 1;
    }
  }
  return sums;
}

function countDifferentBits(before: Uint8Array, after: Uint8Array, size: number): number {
  let changed = 0;
  for (let start = 0; start < before.length; start += size) {
    let differing = 0;
    for (let i = start; i < start + size; i += 1) differing |= before[i]! ^ after[i]!;
    if (differing !== 0) changed += 1;
  }
  return changed;
}

/** Two NaNs count as the same value, as do 0 and -0. */
function countDifferentValues(before: Float64Array, after: Float64Array): number {
  let changed = 0;
  for (let i = 0; i < before.length; i += 1) {
    const [x, y] = [before[i]!, after[i]!];
    if (x !== y && !(Number.isNaN(x) && Number.isNaN(y))) changed += 1;
  }
  return changed;
}
