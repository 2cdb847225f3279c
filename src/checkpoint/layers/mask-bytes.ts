/** Bits of a mask, from `first` on (0 to 7 bits into the first byte). Bit i is bit i % 8, lowest first, of byte ⌊i / 8⌋. */
export interface MaskBits {
  readonly bits: Uint8Array;
  readonly first: number;
}

type Elements = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Views that write whole elements. All zero bits are zero in every type, also in the floats of a Float64Array. */
const VIEWS: Readonly<Record<number, new (buffer: ArrayBufferLike, offset: number, length: number) => Elements>> = {
  1: Uint8Array,
  2: Uint16Array,
  4: Uint32Array,
  8: Float64Array,
};

/**
 * Sets all bytes of each element to zero whose mask bit is 0, in place. `elementBytes` is 1, 2, 4 or 8; `bytes` holds whole
 * elements. Goes by whole mask bytes, eight elements at a time, because most of them are all ones before pruning, and one
 * branch each is what a memory-bound loop can pay.
 */
export function zeroRemoved(bytes: Uint8Array, elementBytes: number, { bits, first }: MaskBits): void {
  const elements = viewOf(bytes, elementBytes);
  const count = elements.length;
  // Up to the first whole mask byte, the whole bytes, and the rest.
  const head = Math.min(count, (8 - first) % 8);
  const wholeBytes = Math.floor((count - head) / 8);
  for (let i = 0; i < head; i += 1) if (!isKept(bits, first + i)) elements[i] = 0;
  let byteIndex = first === 0 ? 0 : 1;
  let i = head;
  for (const end = head + wholeBytes * 8; i < end; i += 8, byteIndex += 1) {
    const byte = bits[byteIndex]!;
    if (byte === 0xff) continue;
    if ((byte & 1) === 0) elements[i] = 0;
    if ((byte & 2) === 0) elements[i + 1] = 0;
    if ((byte & 4) === 0) elements[i + 2] = 0;
    if ((byte & 8) === 0) elements[i + 3] = 0;
    if ((byte & 16) === 0) elements[i + 4] = 0;
    if ((byte & 32) === 0) elements[i + 5] = 0;
    if ((byte & 64) === 0) elements[i + 6] = 0;
    if ((byte & 128) === 0) elements[i + 7] = 0;
  }
  for (; i < count; i += 1) if (!isKept(bits, first + i)) elements[i] = 0;
}

/** Positions here are within one chunk's mask, far below 2^32: bitwise operators are safe. */
function isKept(bits: Uint8Array, position: number): boolean {
  return ((bits[position >>> 3]! >>> (position & 7)) & 1) === 1;
}

function viewOf(bytes: Uint8Array, elementBytes: number): Elements {
  const View = VIEWS[elementBytes];
  if (View === undefined) throw new RangeError(`There is no mask over elements of ${elementBytes} bytes.`);
  return new View(bytes.buffer, bytes.byteOffset, bytes.length / elementBytes);
}
