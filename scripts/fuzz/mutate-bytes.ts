import { boundary } from './boundary.js';
import type { Random } from './random.js';

/** Changes that know nothing of a format: bits, bytes, words, cuts, repeats, and pieces of another file. */
export function mutateBytes(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  if (bytes.length === 0) return random.pick(others);
  return random.pick(BYTE_MUTATIONS)(bytes, random, others);
}

type ByteMutation = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

/** The longest piece that one change removes, repeats or brings in. */
const MAX_PIECE_BYTES = 64;

const BYTE_MUTATIONS: readonly ByteMutation[] = [
  flipBit,
  flipBit,
  setByte,
  setWord,
  setWord,
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => replacePiece(bytes, pieceOf(bytes, random), new Uint8Array(0)),
  (bytes, random) => {
    const { from, to } = pieceOf(bytes, random);
    const at = random.below(bytes.length + 1);
    return replacePiece(bytes, { from: at, to: at }, bytes.subarray(from, to));
  },
  (bytes, random, others) => {
    const other = random.pick(others);
    const { from, to } = pieceOf(other, random);
    return replacePiece(bytes, pieceOf(bytes, random), other.subarray(from, to));
  },
  (bytes, random, others) => {
    const other = random.pick(others);
    const head = bytes.subarray(0, random.below(bytes.length));
    return Buffer.concat([head, other.subarray(random.below(other.length + 1))]);
  },
];

function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = random.below(copy.length);
  copy[at] = copy[at]! ^ (1 << random.below(8));
  return copy;
}

function setByte(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[random.below(copy.length)] = random.oneIn(2) ? random.below(256) : random.pick([0, 0x7f, 0x80, 0xff]);
  return copy;
}

/** A boundary over 2, 4 or 8 bytes, in either order. */
function setWord(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  const width = random.pick([2, 4, 8]);
  if (copy.length < width) return setByte(bytes, random);
  const at = random.below(copy.length - width + 1);
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(boundary(random));
  const part = word.subarray(0, width);
  copy.set(random.oneIn(8) ? part.reverse() : part, at);
  return copy;
}

interface Piece {
  readonly from: number;
  readonly to: number;
}

function pieceOf(bytes: Uint8Array, random: Random): Piece {
  const from = random.below(bytes.length + 1);
  return { from, to: Math.min(bytes.length, from + random.below(MAX_PIECE_BYTES)) };
}

function replacePiece(bytes: Uint8Array, { from, to }: Piece, by: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
}
