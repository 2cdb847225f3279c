/**
 * Which weights of one matrix stay. sparsity = fraction removed, density = fraction kept, mask bit 1 = kept.
 * `bits` holds rows × columns bits, row-major, bit i at byte i >> 3, lowest bit first; the bits after the last are 0.
 */
export interface Mask {
  readonly rows: number;
  readonly columns: number;
  readonly bits: Uint8Array;
}

/** Bytes of a mask over this many weights. */
export function maskBytes(elements: number): number {
  return Math.ceil(elements / 8);
}

/** A mask that keeps every weight. Its bits are fresh: the caller may clear some. */
export function fullMask(rows: number, columns: number): Mask {
  const elements = rows * columns;
  const bits = new Uint8Array(maskBytes(elements)).fill(0xff);
  const used = elements % 8;
  if (used > 0) bits[bits.length - 1] = 2 ** used - 1;
  return { rows, columns, bits };
}

/** The mask that keeps weight i where `keep[i]` is true (or not 0), row-major. */
export function maskFrom(keep: ArrayLike<boolean | number>, rows: number, columns: number): Mask {
  if (keep.length !== rows * columns) throw new Error(`${keep.length} flags for a ${rows} × ${columns} mask`);
  const bits = new Uint8Array(maskBytes(keep.length));
  for (let i = 0; i < keep.length; i++) if (keep[i]) bits[i >>> 3]! |= 1 << (i & 7);
  return { rows, columns, bits };
}

/** One byte per weight, row-major: 1 = kept, 0 = removed. */
export function maskToBytes(mask: Mask): Uint8Array {
  const keep = new Uint8Array(mask.rows * mask.columns);
  for (let i = 0; i < keep.length; i++) keep[i] = (mask.bits[i >>> 3]! >>> (i & 7)) & 1;
  return keep;
}

export function isKept(mask: Mask, row: number, column: number): boolean {
  const i = row * mask.columns + column;
  return ((mask.bits[i >>> 3]! >>> (i & 7)) & 1) === 1;
}

/** Number of set bits of every byte. */
const POPCOUNT = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

/** How many weights the mask keeps. */
export function keptCount(mask: Mask): number {
  let kept = 0;
  for (const byte of mask.bits) kept += POPCOUNT[byte]!;
  return kept;
}

/** Fraction kept. */
export function density(mask: Mask): number {
  return keptCount(mask) / (mask.rows * mask.columns);
}

/** Fraction removed. */
export function sparsity(mask: Mask): number {
  return 1 - density(mask);
}

/** Keeps what every one of the masks keeps: what an earlier wave removed stays removed. */
export function combineMasks(first: Mask, ...others: readonly Mask[]): Mask {
  const bits = first.bits.slice();
  for (const other of others) {
    if (other.rows !== first.rows || other.columns !== first.columns) {
      throw new Error(`masks of ${first.rows} × ${first.columns} and ${other.rows} × ${other.columns} do not combine`);
    }
    for (let i = 0; i < bits.length; i++) bits[i]! &= other.bits[i]!;
  }
  return { rows: first.rows, columns: first.columns, bits };
}
