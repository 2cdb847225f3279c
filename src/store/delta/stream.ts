import { promisify } from 'node:util';
import { constants, deflateRaw, inflateRaw, type ZlibOptions } from 'node:zlib';
import { isDense } from './density.js';

/** How the bytes of a stream are stored. Numbers are of the format: never give one another meaning. */
export const ENCODINGS = { zeros: 0, raw: 1, deflate: 2 } as const;
export type Encoding = keyof typeof ENCODINGS;

export interface PackedStream {
  readonly encoding: Encoding;
  readonly bytes: Uint8Array;
}

/**
 * Ways to deflate, which inflate all the same. Over bits that are set here and there, Huffman codes alone come within 2 % of
 * the entropy at a density of 0.1, where searching for matches costs 16 % more and ten times the time; runs win below 0.02.
 */
const HUFFMAN: ZlibOptions = { strategy: constants.Z_HUFFMAN_ONLY, memLevel: 9 };
const RUNS: ZlibOptions = { strategy: constants.Z_RLE, memLevel: 9 };
/** For masks with a pattern, such as whole columns; tried on a sample first, since elsewhere it is slow and gains nothing. */
const MATCHES: ZlibOptions = { level: 6, memLevel: 9 };

/** A sample is taken from so many places of a stream, in pieces long enough to hold a few rows of a mask. */
const SAMPLE_PLACES = 4;
const SAMPLE_BYTES = 8 * 1024;
/**
 * A stream whose sample would not lose an eighth is stored as it is: codes of 4 bits lose a tenth, for which deflating takes ten times as
 * long as rounding them, and inflating as long again each time that they are read.
 */
const WORTH_IT = 7 / 8;

const deflated = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);
const NOTHING = new Uint8Array(0);

/** The shortest way to store these bytes; the same bytes give the same on the same zlib. The bytes are not copied. */
export async function packStream(bytes: Uint8Array): Promise<PackedStream> {
  if (isZero(bytes)) return { encoding: 'zeros', bytes: NOTHING };
  const ways = await waysFor(bytes);
  const tried = await Promise.all(ways.map((way) => deflated(bytes, way)));
  const best = tried.reduce((shortest, next) => (next.length < shortest.length ? next : shortest), bytes);
  return best.length < bytes.length ? { encoding: 'deflate', bytes: best } : { encoding: 'raw', bytes };
}

/**
 * The bytes of a stream, exactly `length` of them. Throws a RangeError that says in words what is wrong with the stream: it
 * never grows beyond `length`, whatever it holds.
 */
export async function unpackStream({ encoding, bytes }: PackedStream, length: number): Promise<Uint8Array> {
  switch (encoding) {
    case 'zeros':
      return new Uint8Array(length);
    case 'raw':
      return bytes;
    case 'deflate':
      return inflate(bytes, length);
  }
}

/** Throws a RangeError when a stream of `stored` bytes in this encoding cannot hold `length` bytes as `packStream` does. */
export function checkPacked(encoding: Encoding, stored: number, length: number): void {
  const fits =
    encoding === 'zeros' ? stored === 0 : encoding === 'raw' ? stored === length && length > 0 : stored < length;
  if (!fits) throw new RangeError(`it has ${stored} bytes (${encoding}) for ${length}`);
}

function inflate(bytes: Uint8Array, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    // With `info`, which the types do not know, the result says how much of the input was used.
    const options: ZlibOptions = { maxOutputLength: length, info: true };
    inflateRaw(bytes, options, (error, result) => {
      if (error !== null) return reject(new RangeError(`it does not inflate (${error.message})`));
      const { buffer, engine } = result as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
      if (buffer.length === length && engine.bytesWritten === bytes.length) {
        return resolve(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length));
      }
      const used = `${engine.bytesWritten} of its ${bytes.length} bytes`;
      return reject(new RangeError(`${used} inflate to ${buffer.length}, not ${length}`));
    });
  });
}

/** Ways to deflate that a sample shows to be worth their time. */
async function waysFor(bytes: Uint8Array): Promise<readonly ZlibOptions[]> {
  const sample = sampleOf(bytes);
  // No trial for what no way would shorten by so much: it would take longer than all else that is done with the bytes.
  if (isDense(sample, WORTH_IT)) return [];
  const [codes, runs, matches] = await Promise.all([HUFFMAN, RUNS, MATCHES].map((way) => deflated(sample, way)));
  const shortest = Math.min(codes!.length, runs!.length);
  if (matches!.length < shortest) return [HUFFMAN, RUNS, MATCHES];
  return shortest < sample.length * WORTH_IT ? [HUFFMAN, RUNS] : [];
}

/** All of a short stream; pieces of a long one, the first and the last among them. */
function sampleOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= SAMPLE_PLACES * SAMPLE_BYTES) return bytes;
  const sample = new Uint8Array(SAMPLE_PLACES * SAMPLE_BYTES);
  const apart = (bytes.length - SAMPLE_BYTES) / (SAMPLE_PLACES - 1);
  for (let place = 0; place < SAMPLE_PLACES; place += 1) {
    const start = Math.floor(place * apart);
    sample.set(bytes.subarray(start, start + SAMPLE_BYTES), place * SAMPLE_BYTES);
  }
  return sample;
}

const ZEROS = new Uint8Array(64 * 1024);

function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
