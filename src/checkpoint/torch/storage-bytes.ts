import { crc32 } from 'node:zlib';
import type { ByteSource } from '../files/bytes.js';

/** Where a storage's bytes are in the file, and their CRC if the file has one. */
export interface StorageRange {
  readonly start: number;
  readonly byteLength: number;
  readonly crc32?: number;
}

/**
 * One storage's bytes, which are compared with their CRC while they are read: whenever they were read from the first to the
 * last in order, in one piece or many, which is how hashing, copying and converting read. Reading a part, or out of order,
 * checks nothing, because that would mean reading all. `fail` throws.
 */
export class StorageBytes {
  readonly #file: ByteSource;
  readonly #range: StorageRange;
  readonly #fail: (problem: string) => never;
  /** Where the next piece of a reading in order starts, and the CRC up to there, which comes with the piece before. */
  #next = 0;
  #crc: Promise<number> = Promise.resolve(0);

  constructor(file: ByteSource, range: StorageRange, fail: (problem: string) => never) {
    this.#file = file;
    this.#range = range;
    this.#fail = fail;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const { start, byteLength, crc32: expected } = this.#range;
    const reading = this.#file.read(start + offset, length);
    if (offset === 0) this.#restart();
    if (expected === undefined || offset !== this.#next) return reading;
    this.#next = offset + length;
    const before = this.#crc;
    const after = Promise.all([before, reading]).then(([crc, bytes]) => crc32(bytes, crc));
    this.#crc = after;
    const [found, bytes] = await Promise.all([after, reading]);
    if (offset + length === byteLength && found !== expected) this.#fail(crcProblem(expected, found));
    return bytes;
  }

  readSync(offset: number, bytes: Uint8Array): void {
    this.#file.readSync(this.#range.start + offset, bytes);
  }

  #restart(): void {
    this.#next = 0;
    this.#crc = Promise.resolve(0);
  }
}

const CHUNK_BYTES = 1024 * 1024;

/** The CRC of part of a file, read in pieces. */
export function crcOf(file: ByteSource, { start, byteLength }: StorageRange): number {
  const bytes = new Uint8Array(Math.min(CHUNK_BYTES, byteLength));
  let crc = 0;
  for (let done = 0; done < byteLength; done += bytes.length) {
    const part = bytes.subarray(0, Math.min(bytes.length, byteLength - done));
    file.readSync(start + done, part);
    crc = crc32(part, crc);
  }
  return crc;
}

/** What is wrong with bytes whose CRC is another than the archive says. */
export function crcProblem(expected: number, found: number): string {
  const hex = (crc: number) => `0x${crc.toString(16).padStart(8, '0')}`;
  return `its bytes have the CRC ${hex(found)}, and the archive says ${hex(expected)}: they are damaged or were changed`;
}
