import { DTYPES, type Dtype, decodeToF32 } from '../tensor/index.js';

/** Types without one number per element, or with several elements in a byte: their tensors are compared by bytes only. */
const WITHOUT_VALUES: ReadonlySet<Dtype> = new Set(['C64', 'F4', 'F6_E2M3', 'F6_E3M2']);

export function hasValues(dtype: Dtype): boolean {
  return !WITHOUT_VALUES.has(dtype);
}

interface View<Elements> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Elements;
}

/** The bytes as elements of a typed array, in place where their address allows it. */
export function elementView<Elements>(type: View<Elements>, bytes: Uint8Array): Elements {
  const size = type.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new type(aligned.buffer, aligned.byteOffset, aligned.length / size);
}

/** Types that float32 cannot hold exactly. 64-bit integers beyond 2^53 are rounded here as well. */
const WIDE: Partial<Record<Dtype, (bytes: Uint8Array) => Float64Array>> = {
  F64: (bytes) => elementView(Float64Array, bytes),
  I32: (bytes) => new Float64Array(elementView(Int32Array, bytes)),
  U32: (bytes) => new Float64Array(elementView(Uint32Array, bytes)),
  I64: (bytes) => Float64Array.from(elementView(BigInt64Array, bytes) as Iterable<unknown> as Iterable<number>, Number),
  U64: (bytes) =>
    Float64Array.from(elementView(BigUint64Array, bytes) as Iterable<unknown> as Iterable<number>, Number),
};

/** Whether float32 holds every value of the type. */
export function fitsF32(dtype: Dtype): boolean {
  return WIDE[dtype] === undefined;
}

/** Values of packed little-endian elements in float64. The result may share the bytes' memory. */
export function decodeToF64(bytes: Uint8Array, dtype: Dtype): Float64Array {
  return WIDE[dtype]?.(bytes) ?? new Float64Array(decodeToF32(bytes, dtype));
}

export function elementBytes(dtype: Dtype): number {
  return DTYPES[dtype].bits / 8;
}

/** How many values differ. Two NaNs count as the same value, as do 0 and −0. */
export function countDifferentValues(before: ArrayLike<number>, after: ArrayLike<number>): number {
  let changed = 0;
  for (let i = 0; i < before.length; i += 1) {
    const x = before[i]!;
    const y = after[i]!;
    if (x !== y && !(Number.isNaN(x) && Number.isNaN(y))) changed += 1;
  }
  return changed;
}
