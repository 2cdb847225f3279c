import { type Dtype, decodeToF32, encodeFromF32 } from '../tensor/index.js';

/** What a cast has done, in elements. `saturated` and `zeroed` are part of `changed`. */
export interface CastCounts {
  elements: number;
  /** Whose value is not the one it was; NaN stays NaN. */
  changed: number;
  /** Finite and too large: the largest finite value of the type instead. */
  saturated: number;
  /** Not zero, and zero now. */
  zeroed: number;
  nan: number;
  infinite: number;
}

export function noCounts(): CastCounts {
  return { elements: 0, changed: 0, saturated: 0, zeroed: 0, nan: 0, infinite: 0 };
}

/** The largest finite value of each type. */
const LARGEST = {
  F32: (2 - 2 ** -23) * 2 ** 127,
  F16: 65_504,
  BF16: (2 - 2 ** -7) * 2 ** 127,
} as const;

/**
 * Returns elements of one float type as another, with saturation in place of overflow, and counts of what that changed. F64 is
 * rounded to float32 on the way to 16 bits, so that a value within 2^-24 of a tie may end on its other side.
 */
export function castValues(
  bytes: Uint8Array,
  from: Dtype,
  to: keyof typeof LARGEST,
): { readonly bytes: Uint8Array; readonly counts: CastCounts } {
  const exact = from === 'F64' ? doublesOf(bytes) : decodeToF32(bytes, from);
  const largest = LARGEST[to];
  const counts = noCounts();
  counts.elements = exact.length;
  const rounded = decodeToF32(encodeFromF32(Float32Array.from(exact), to), to);
  for (let i = 0; i < exact.length; i += 1) {
    const before = exact[i]!;
    let after = rounded[i]!;
    if (before === after) {
      if (after === Infinity || after === -Infinity) counts.infinite += 1;
      continue;
    }
    if (Number.isNaN(before)) {
      counts.nan += 1;
      continue;
    }
    counts.changed += 1;
    if (after === Infinity || after === -Infinity) {
      counts.saturated += 1;
      after = after > 0 ? largest : -largest;
      rounded[i] = after;
    }
    if (after === 0) counts.zeroed += 1;
  }
  // What was rounded once is exact in the type, so encoding it again changes nothing.
  return { bytes: encodeFromF32(rounded, to), counts };
}

function doublesOf(bytes: Uint8Array): Float64Array {
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
  return new Float64Array(aligned.buffer, aligned.byteOffset, aligned.length / 8);
}
