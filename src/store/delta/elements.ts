/** What a chunk of a tensor is before a wave, and which of its elements the wave lets stay. Not changed. */
export interface MaskedChunk {
  /** Whole elements. */
  readonly before: Uint8Array;
  readonly elementBytes: number;
  /** The wave's bits of these elements, 1 = kept; bit i is bit i % 8, lowest first, of byte ⌊i / 8⌋. */
  readonly mask: Uint8Array;
  /** What earlier waves let stay, likewise. */
  readonly earlier: Uint8Array;
}

/**
 * The bits of the elements that a wave removes anew: those that no earlier one removed, and those which are no longer zero
 * since. A weight that was zero in the base and that the wave removes is among them: it counts as removed.
 */
export function newlyRemoved({ before, elementBytes, mask, earlier }: MaskedChunk): Uint8Array {
  const count = before.length / elementBytes;
  const removed = new Uint8Array(Math.ceil(count / 8));
  for (let index = 0; index < removed.length; index += 1) {
    const gone = ~mask[index]! & usedBits(index, count);
    const again = gone & ~earlier[index]!;
    removed[index] = gone & earlier[index]!;
    if (again === 0) continue;
    for (let bit = 0; bit < 8; bit += 1) {
      if (((again >>> bit) & 1) === 1 && !isZeroAt(before, (index * 8 + bit) * elementBytes, elementBytes))
        removed[index]! |= 1 << bit;
    }
  }
  return removed;
}

/** The bits of the elements in which two equally long arrays differ. */
export function differing(before: Uint8Array, after: Uint8Array, elementBytes: number): Uint8Array {
  const count = before.length / elementBytes;
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (let at = 0; at < before.length; at += 1) {
    if (before[at] === after[at]) continue;
    const element = Math.floor(at / elementBytes);
    bits[element >>> 3]! |= 1 << (element & 7);
  }
  return bits;
}

/** Which bits of a bitmap's byte stand for elements; the last byte may have some to spare. */
export function usedBits(index: number, count: number): number {
  const left = count - index * 8;
  return left >= 8 ? 0xff : 2 ** left - 1;
}

/** Number of set bits of every byte. */
const POPCOUNT = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

export function countBits(bits: Uint8Array): number {
  let count = 0;
  for (const byte of bits) count += POPCOUNT[byte]!;
  return count;
}

/** Takes the elements whose bit is set out of `bytes`, which keep zeros in their places: one array for each byte of an element. */
export function takeElements(bytes: Uint8Array, bits: Uint8Array, elementBytes: number): Uint8Array[] {
  const indexes = indexesOf(bits);
  const planes = emptyPlanes(indexes.length, elementBytes);
  for (const [plane, values] of planes.entries()) {
    for (let taken = 0; taken < values.length; taken += 1) {
      const at = indexes[taken]! * elementBytes + plane;
      values[taken] = bytes[at]!;
      bytes[at] = 0;
    }
  }
  return planes;
}

/** The reverse of `takeElements`: `count` elements, zero but for those whose bit is set. */
export function putElements(planes: readonly Uint8Array[], bits: Uint8Array, count: number): Uint8Array {
  const elementBytes = planes.length;
  const indexes = indexesOf(bits);
  const bytes = new Uint8Array(count * elementBytes);
  for (const [plane, values] of planes.entries()) {
    for (let taken = 0; taken < values.length; taken += 1)
      bytes[indexes[taken]! * elementBytes + plane] = values[taken]!;
  }
  return bytes;
}

/** Which bits are set, in order. A chunk has 2^20 at most, so bitwise operators are safe. */
function indexesOf(bits: Uint8Array): Uint32Array {
  const indexes = new Uint32Array(countBits(bits));
  let found = 0;
  for (let index = 0; index < bits.length; index += 1) {
    // Lowest set bit first: one step for each that is set, rather than eight tests that no processor can foresee.
    for (let byte = bits[index]!; byte !== 0; byte &= byte - 1) {
      indexes[found] = index * 8 + 31 - Math.clz32(byte & -byte);
      found += 1;
    }
  }
  return indexes;
}

/** The bytes of elements apart: byte 0 of each, byte 1 of each … Exponents and low bits compress differently. */
export function splitPlanes(bytes: Uint8Array, count: number): Uint8Array[] {
  if (count === 1) return [bytes];
  const planes = emptyPlanes(bytes.length / count, count);
  for (let plane = 0; plane < count; plane += 1) {
    const into = planes[plane]!;
    for (let index = 0, at = plane; index < into.length; index += 1, at += count) into[index] = bytes[at]!;
  }
  return planes;
}

export function joinPlanes(planes: readonly Uint8Array[]): Uint8Array {
  const [only, ...others] = planes;
  if (others.length === 0) return only!;
  const bytes = new Uint8Array(only!.length * planes.length);
  for (const [plane, from] of planes.entries()) {
    for (let index = 0, at = plane; index < from.length; index += 1, at += planes.length) bytes[at] = from[index]!;
  }
  return bytes;
}

function emptyPlanes(length: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => new Uint8Array(length));
}

function isZeroAt(bytes: Uint8Array, at: number, length: number): boolean {
  for (let index = at; index < at + length; index += 1) if (bytes[index] !== 0) return false;
  return true;
}
