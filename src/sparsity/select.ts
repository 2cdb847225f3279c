/** One base-256 digit at a time: 31-bit keys have four. Small histograms keep narrow rows cheap. */
const DIGIT_SHIFTS = [24, 16, 8, 0] as const;
const RADIX = 256;

/** Where the removed keys end: all below `key`, and the first `ties` of those equal to it. */
export interface Boundary {
  readonly key: number;
  readonly ties: number;
}

/** A place in a histogram: the bin that holds the rank, and the rank's position among that bin's own members. */
export function locate(histogram: Int32Array | Float64Array, rank: number): { bin: number; rank: number } {
  let rest = rank;
  let bin = 0;
  while (rest >= histogram[bin]!) rest -= histogram[bin++]!;
  return { bin, rank: rest };
}

const histogram = new Int32Array(RADIX);

/**
 * The boundary below which exactly `removed` of keys[start, end) lie, 0 < removed ≤ end − start. Keys are integers
 * 0…2³¹ − 1. Radix selection: four passes over the range whatever its values, no copy, no sorting.
 */
function boundaryOf(keys: Int32Array, start: number, end: number, removed: number): Boundary {
  let prefix = 0;
  let rank = removed - 1;
  for (const shift of DIGIT_SHIFTS) {
    histogram.fill(0);
    for (let i = start; i < end; i++) {
      const above = keys[i]! >>> shift;
      if (above >>> 8 === prefix) histogram[above & 255]! += 1;
    }
    const place = locate(histogram, rank);
    prefix = prefix * RADIX + place.bin;
    rank = place.rank;
  }
  return { key: prefix, ties: rank + 1 };
}

/**
 * Clears the mask bits of exactly `removed` of keys[start, end): the smallest, and among equals those that come first.
 * Bit i belongs to key i.
 */
export function removeSmallest(
  keys: Int32Array,
  bits: Uint8Array,
  range: { readonly start: number; readonly end: number },
  removed: number,
): void {
  if (removed === 0) return;
  const { start, end } = range;
  removeBelow(keys, bits, range, boundaryOf(keys, start, end, removed));
}

/** Clears the mask bits of the keys under the boundary, its ties in index order. Returns the ties that are left over. */
export function removeBelow(
  keys: Int32Array,
  bits: Uint8Array,
  range: { readonly start: number; readonly end: number },
  boundary: Boundary,
): number {
  const { key, ties } = boundary;
  let left = ties;
  for (let i = range.start; i < range.end; i++) {
    const candidate = keys[i]!;
    if (candidate > key) continue;
    if (candidate === key && left-- <= 0) continue;
    bits[i >>> 3]! &= ~(1 << (i & 7));
  }
  return Math.max(0, left);
}
