import { z } from 'zod';
import { canonicalJson, elementsOf, type TensorInfo, unreadable } from '../../checkpoint/index.js';
import { DTYPES, type Dtype } from '../../tensor/index.js';
import { ENCODINGS, type Encoding } from './stream.js';

/*
 * A delta is one object: what one wave did to one tensor. Numbers are little-endian.
 *
 *   8 bytes   "bbdelta\0"
 *   u32       version of this layout: 2 for an added tensor, which earlier versions do not know, else 1
 *   u32       length of the header
 *   header    canonical JSON, see `DeltaHeader`
 *   table     8 bytes a stream: u32 encoding (see `ENCODINGS`), u32 stored length
 *   streams   in the table's order, without gaps, to the end of the file
 *
 * The tensor is cut into chunks of 2^20 elements, so that a range is read without the rest. Each chunk has the same streams:
 * of a mask, the bits of the elements removed and then the byte planes of their values; of the others, the planes of all
 * elements. A type whose elements are not whole bytes has one plane.
 */
const MAGIC = Buffer.from('bbdelta\0');
const PREAMBLE_BYTES = 16;
const ENTRY_BYTES = 8;

/** A multiple of 8 and of every block, and of a few MB: what a range that is read costs at most besides itself. */
export const CHUNK_ELEMENTS = 2 ** 20;

/** The version of the layout that first knew each kind, which is also what is written. */
const VERSIONS: Readonly<Record<DeltaKind, number>> = { mask: 1, xor: 1, whole: 1, added: 2 };

/** Two digests, a type, a shape: 300 bytes. */
const MAX_HEADER_BYTES = 4096;

/** Tables are in memory whole: 2 million streams, those of 7 × 10^11 elements of two bytes. */
const MAX_TABLE_BYTES = 2 ** 24;

/**
 * mask: elements became zero; their bits and the values they had. xor: the bytes before XOR those after. whole: the bytes after,
 * where type or shape are new; added: the bytes of a tensor that was not there. All but `whole` can be undone.
 */
export const DELTA_KINDS = ['mask', 'xor', 'whole', 'added'] as const;
export type DeltaKind = (typeof DELTA_KINDS)[number];

export interface DeltaHeader {
  readonly kind: DeltaKind;
  /** Of the tensor after the wave. */
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Digests of the tensor before and after the wave, as in a manifest; before it, an added tensor has none. */
  readonly before?: string | undefined;
  readonly after: string;
}

/** Whether a digest of the tensor before is there exactly where there was a tensor. */
export function hasItsDigests({ kind, before }: Pick<DeltaHeader, 'kind' | 'before'>): boolean {
  return (kind === 'added') === (before === undefined);
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const headerSchema = z.strictObject({
  kind: z.enum(DELTA_KINDS),
  dtype: z.string().refine((name): name is Dtype => Object.hasOwn(DTYPES, name)),
  shape: z.array(z.int().nonnegative()).max(64),
  before: sha256.optional(),
  after: sha256,
});

/** What follows from a header: how the tensor is cut up. */
export interface Geometry {
  readonly elements: number;
  readonly chunks: number;
  /** Bytes of an element that are planes of their own. */
  readonly planes: number;
  readonly streamsPerChunk: number;
  /** Bytes of `count` elements, of which there is a whole number of units. */
  bytesOf(count: number): number;
  /** Elements of one chunk. */
  countIn(chunk: number): number;
}

/** Throws a RangeError for a mask over elements that are not whole bytes, and for more elements than can be counted. */
export function geometryOf({ kind, dtype, shape }: Pick<DeltaHeader, 'kind' | 'dtype' | 'shape'>): Geometry {
  const elements = elementsOf(shape);
  const { bits } = DTYPES[dtype];
  const isWhole = bits % 8 === 0;
  if (!Number.isSafeInteger(elements * bits)) throw new RangeError('it has too many elements');
  if (!Number.isInteger((elements * bits) / 8)) throw new RangeError('its elements do not end with a byte');
  if (kind === 'mask' && !isWhole) throw new RangeError(`it has a mask over elements of ${bits} bits`);
  const chunks = Math.ceil(elements / CHUNK_ELEMENTS);
  const planes = isWhole ? bits / 8 : 1;
  return {
    elements,
    chunks,
    planes,
    streamsPerChunk: kind === 'mask' ? 1 + planes : planes,
    bytesOf: (count) => (count * bits) / 8,
    countIn: (chunk) => Math.min(CHUNK_ELEMENTS, elements - chunk * CHUNK_ELEMENTS),
  };
}

/** One stream's place in the file. */
export interface StreamEntry {
  readonly encoding: Encoding;
  readonly offset: number;
  readonly length: number;
}

/** Bytes before the first stream: known before what the header says is. */
export function headBytesOf(info: Pick<TensorInfo, 'dtype' | 'shape'>, kind: DeltaKind): number {
  const digest = '0'.repeat(64);
  const digests = kind === 'added' ? { after: digest } : { before: digest, after: digest };
  const header = { kind, dtype: info.dtype, shape: info.shape, ...digests };
  const { chunks, streamsPerChunk } = geometryOf(header);
  return PREAMBLE_BYTES + canonicalJson(header).length + chunks * streamsPerChunk * ENTRY_BYTES;
}

/** Everything before the first stream. */
export function writeHead(
  header: DeltaHeader,
  streams: readonly { readonly encoding: Encoding; readonly length: number }[],
): Uint8Array {
  const { kind, dtype, shape, before, after } = header;
  const digests = before === undefined ? { after } : { before, after };
  const text = Buffer.from(canonicalJson({ kind, dtype, shape, ...digests }));
  const head = Buffer.alloc(PREAMBLE_BYTES + text.length + streams.length * ENTRY_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(VERSIONS[kind], 8);
  head.writeUInt32LE(text.length, 12);
  text.copy(head, PREAMBLE_BYTES);
  for (const [index, { encoding, length }] of streams.entries()) {
    const at = PREAMBLE_BYTES + text.length + index * ENTRY_BYTES;
    head.writeUInt32LE(ENCODINGS[encoding], at);
    head.writeUInt32LE(length, at + 4);
  }
  return head;
}

/** Where a delta's bytes come from. */
export interface DeltaSource {
  /** What messages name. */
  readonly path: string;
  readonly size: number;
  /** Bytes in an array of their own, or at the start of `into`. */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** A delta's header and the places of its streams. Throws `unreadable` for anything that is not laid out as above. */
export async function readHead(source: DeltaSource) {
  const preamble = Buffer.from(await readWithin(source, 0, PREAMBLE_BYTES));
  if (!preamble.subarray(0, 8).equals(MAGIC)) throw broken(source, 'it does not begin as a delta does');
  const version = preamble.readUInt32LE(8);
  if (version !== 1 && version !== 2) throw broken(source, `it is a delta of version ${version}, not 1 or 2`);
  const headerBytes = preamble.readUInt32LE(12);
  if (headerBytes > MAX_HEADER_BYTES) throw broken(source, `its header has ${headerBytes} bytes`);
  const header = parseHeader(source, Buffer.from(await readWithin(source, PREAMBLE_BYTES, headerBytes)));
  if (VERSIONS[header.kind] !== version) throw broken(source, `version ${version} has no delta "${header.kind}"`);
  const geometry = geometryIn(source, header);
  const tableStart = PREAMBLE_BYTES + headerBytes;
  const tableBytes = geometry.chunks * geometry.streamsPerChunk * ENTRY_BYTES;
  if (tableBytes > MAX_TABLE_BYTES) throw broken(source, `its table would have ${tableBytes} bytes`);
  const table = Buffer.from(await readWithin(source, tableStart, tableBytes));
  return { header, geometry, streams: parseTable(source, table, tableStart + tableBytes) };
}

function parseHeader(source: DeltaSource, bytes: Buffer): DeltaHeader {
  try {
    const text = bytes.toString('utf8');
    const header = headerSchema.parse(JSON.parse(text));
    if (!hasItsDigests(header)) throw new RangeError('its digests are not those of its kind');
    // One spelling only, so that a key twice or an odd number cannot hide.
    if (canonicalJson(header) !== text) throw new RangeError('it is not canonical');
    return header;
  } catch (cause) {
    throw broken(source, 'its header is damaged', cause);
  }
}

function geometryIn(source: DeltaSource, header: DeltaHeader): Geometry {
  try {
    return geometryOf(header);
  } catch (cause) {
    throw broken(source, (cause as Error).message, cause);
  }
}

const NAMES = new Map(Object.entries(ENCODINGS).map(([name, code]) => [code, name as Encoding]));

function parseTable(source: DeltaSource, table: Buffer, start: number): StreamEntry[] {
  let offset = start;
  const streams: StreamEntry[] = [];
  for (let at = 0; at < table.length; at += ENTRY_BYTES) {
    const encoding = NAMES.get(table.readUInt32LE(at) as 0 | 1 | 2);
    if (encoding === undefined) throw broken(source, `stream ${at / ENTRY_BYTES} has an unknown encoding`);
    const length = table.readUInt32LE(at + 4);
    streams.push({ encoding, offset, length });
    offset += length;
  }
  if (offset !== source.size) throw broken(source, `its streams end at byte ${offset}, and it has ${source.size}`);
  return streams;
}

async function readWithin(source: DeltaSource, offset: number, length: number): Promise<Uint8Array> {
  if (offset + length > source.size) {
    throw broken(source, `it has ${source.size} bytes, and should have at least ${offset + length}`);
  }
  return source.read(offset, length);
}

export function broken(source: Pick<DeltaSource, 'path'>, problem: string, cause?: unknown) {
  return unreadable(source.path, problem, { ...(cause !== undefined && { cause }) });
}
