import { type Dtype, decodeToF32, isBlockDtype } from '../tensor/index.js';
import { finiteSums, hasKernel, type KernelSums, type SummedValues, sumByKernel } from './pair-sums-kernel.js';
import { sumAny } from './sum-any.js';
import type { StoredValues, ValueSums } from './value-sums.js';
import { elementBytes, elementView, fitsF32 } from './values.js';

/** The sums over two runs of equally many elements. Both dtypes must have values (`hasValues`). */
export function sumPairs(before: StoredValues, after: StoredValues): ValueSums {
  return sumFast(before, after) ?? sumAny(before, after);
}

/** The sums by the fast way that the types have; undefined when they have none, or when an element is not finite. */
function sumFast(before: StoredValues, after: StoredValues): ValueSums | undefined {
  if (before.dtype === after.dtype && !isBlockDtype(before.dtype)) {
    return sumSameDtype(before.dtype, before.bytes, after.bytes);
  }
  if (!fitsF32(before.dtype) || !fitsF32(after.dtype)) return undefined;
  const [x, y] = [asSummed(before), asSummed(after)];
  return finiteSums(sumByKernel(x, y, 'values'), before.bytes.length / elementBytes(before.dtype));
}

/** Values as the kernel takes them: decoded, where they are of another type. */
function asSummed({ dtype, bytes }: StoredValues): SummedValues {
  if (hasKernel(dtype)) return { dtype, bytes };
  const values = decodeToF32(bytes, dtype);
  return { dtype: 'F32', bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

function sumSameDtype(dtype: Dtype, before: Uint8Array, after: Uint8Array): ValueSums | undefined {
  const found = hasKernel(dtype)
    ? sumByKernel({ dtype, bytes: before }, { dtype, bytes: after }, 'bits')
    : sumByTable(dtype, before, after);
  return finiteSums(found, before.length / elementBytes(dtype));
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
