import { createHash, type Hash } from 'node:crypto';
import type { ByteSource } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';

/** DVC reads so much at a time, and replaces line ends within each piece: the size is a part of what the hash means. */
const PIECE_BYTES = 2 ** 20;
/** So much of a file tells DVC whether it is a text. */
const HEAD_BYTES = 512;
/** A text has at most this part of bytes that are neither printable ASCII nor white space. */
const MAX_BINARY_PART = 0.3;

const CR = 0x0d;
const LF = 0x0a;

/**
 * How DVC hashes a file: `md5` of its bytes (DVC 3), or `md5-dos2unix`, where CRLF counts as LF in what looks like a text
 * (until DVC 2). Source: dvc-data, hashfile/hash.py and istextfile.py.
 */
export type DvcHashName = 'md5' | 'md5-dos2unix';

/** The md5 in hex that DVC records for a file. Reads it once, a megabyte at a time. */
export async function dvcHash(source: ByteSource, name: DvcHashName, signal?: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  let isText = false;
  for (let offset = 0; offset < source.size; offset += PIECE_BYTES) {
    stopIfAborted(signal);
    const piece = await source.read(offset, Math.min(PIECE_BYTES, source.size - offset));
    if (offset === 0) isText = name === 'md5-dos2unix' && looksLikeText(piece.subarray(0, HEAD_BYTES));
    if (isText) updateWithUnixLineEnds(hash, piece);
    else hash.update(piece);
  }
  return hash.digest('hex');
}

function looksLikeText(head: Uint8Array): boolean {
  const isTextByte = (byte: number): boolean =>
    (byte >= 0x20 && byte < 0x7f) || [0x08, 0x09, LF, 0x0c, CR].includes(byte);
  return !head.includes(0) && head.filter((byte) => !isTextByte(byte)).length <= MAX_BINARY_PART * head.length;
}

function updateWithUnixLineEnds(hash: Hash, piece: Uint8Array): void {
  let start = 0;
  for (let at = piece.indexOf(CR); at !== -1; at = piece.indexOf(CR, at + 1)) {
    if (piece[at + 1] !== LF) continue;
    hash.update(piece.subarray(start, at));
    start = at + 1;
  }
  hash.update(piece.subarray(start));
}
