import type { ByteSource } from '../files/bytes.js';
import { decodeText } from './pickle-text.js';
import { bytesAt } from './zip-end.js';

/** Something in a broken archive that looks like a member. */
export interface FoundMember {
  readonly name: string;
  readonly start: number;
  readonly byteLength: number;
  /** When the archive is sound enough to tell. */
  readonly crc32?: number;
  readonly deflated: boolean;
}

const CHUNK_BYTES = 1024 * 1024;
const HEADER_BYTES = 30;
const SIGNATURE = Buffer.from('PK\x03\x04', 'latin1');
/** Headers that are looked at; the bytes of weights look like one in 2^32 places. */
const MAX_FOUND = 10_000;
const DEFLATED = 8;

/**
 * Members of an archive by their own headers, wherever in the file these are, for archives whose directory is not to be
 * trusted: other readers may find what the directory does not list. Where a header has no size, its member reaches up to the
 * next one.
 */
export function findMembers(file: ByteSource): FoundMember[] {
  const places = placesOf(file);
  const found: FoundMember[] = [];
  for (const [i, at] of places.entries()) {
    const limit = places[i + 1] ?? file.size;
    if (at + HEADER_BYTES > limit) continue;
    const header = bytesAt(file, at, HEADER_BYTES);
    const nameBytes = header.readUInt16LE(26);
    const start = at + HEADER_BYTES + nameBytes + header.readUInt16LE(28);
    if (start > file.size) continue;
    const name = decodeText(bytesAt(file, at + HEADER_BYTES, nameBytes)) ?? '';
    const stored = header.readUInt32LE(18);
    const most = Math.max(0, limit - start);
    const byteLength = stored === 0 || stored > most ? most : stored;
    found.push({ name, start, byteLength, deflated: header.readUInt16LE(8) === DEFLATED });
  }
  return found;
}

/** Where headers start, found chunk by chunk; chunks overlap by what a signature needs. */
function placesOf(file: ByteSource): number[] {
  const places: number[] = [];
  const step = CHUNK_BYTES - SIGNATURE.length + 1;
  for (let from = 0; from < file.size && places.length < MAX_FOUND; from += step) {
    const chunk = bytesAt(file, from, Math.min(CHUNK_BYTES, file.size - from));
    for (let at = chunk.indexOf(SIGNATURE); at !== -1 && places.length < MAX_FOUND; ) {
      places.push(from + at);
      at = chunk.indexOf(SIGNATURE, at + 1);
    }
  }
  return places;
}
