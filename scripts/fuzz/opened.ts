import type { Checkpoint, TensorInfo } from '../../src/checkpoint/checkpoint.js';
import type { ByteSource } from '../../src/checkpoint/files/bytes.js';
import { memorySource } from '../../src/checkpoint/files/bytes.js';
import { BirdboneError } from '../../src/errors.js';
import { BrokenInvariant } from './fuzz-format.js';

/** Bytes in memory that remember which of them were asked for last. */
export interface WatchedBytes extends ByteSource {
  readonly bytes: Uint8Array;
  /** Offset and length of every `read` since the last call. */
  takeReads(): readonly (readonly [offset: number, length: number])[];
}

export function watchedBytes(path: string, bytes: Uint8Array): WatchedBytes {
  const source = memorySource(path, bytes);
  let reads: (readonly [number, number])[] = [];
  return {
    ...source,
    bytes,
    read(offset, length) {
      reads.push([offset, length]);
      return source.read(offset, length);
    },
    takeReads() {
      const taken = reads;
      reads = [];
      return taken;
    },
  };
}

/** Bits of one element, or bytes and elements of one block. */
export type Widths = (
  dtype: string,
) => { readonly bits: number } | { readonly bytes: number; readonly elements: number };

/** How many bytes of each end of a tensor are read. */
const END_BYTES = 8;

/**
 * Checks everything that an opened checkpoint promises about its tensors, by arithmetic of its own: names in order, sizes that
 * shape and type give, and reads of both ends that return so many bytes.
 */
export async function checkTensors(checkpoint: Checkpoint, widths: Widths): Promise<void> {
  let before: string | undefined;
  for (const [name, info] of checkpoint.tensors) {
    if (info.name !== name) throw new BrokenInvariant(`tensor ${name} calls itself ${info.name}`);
    if (before !== undefined && !(before < name)) throw new BrokenInvariant(`${before} comes before ${name}`);
    before = name;
    checkSize(info, widths);
    await readEnds(checkpoint, info);
  }
  for (const [alias, name] of checkpoint.aliases) {
    if (checkpoint.tensors.has(alias)) throw new BrokenInvariant(`${alias} is an alias and a tensor`);
    if (!checkpoint.tensors.has(name)) throw new BrokenInvariant(`${alias} is an alias of ${name}, which is not there`);
  }
}

function checkSize({ name, dtype, shape, byteLength }: TensorInfo, widths: Widths): void {
  let elements = 1n;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) throw new BrokenInvariant(`${name} has the shape [${shape}]`);
    elements *= BigInt(size);
  }
  const width = widths(dtype);
  const [amount, unit] =
    'bits' in width ? [elements * BigInt(width.bits), 8n] : [elements * BigInt(width.bytes), BigInt(width.elements)];
  if (amount % unit === 0n && amount / unit === BigInt(byteLength)) return;
  throw new BrokenInvariant(`${name}, ${dtype} [${shape}], says that it has ${byteLength} bytes`);
}

async function readEnds(checkpoint: Checkpoint, { name, byteLength }: TensorInfo): Promise<void> {
  const length = Math.min(END_BYTES, byteLength);
  for (const offset of [0, byteLength - length]) {
    const bytes = await checkpoint.read(name, { offset, length });
    if (bytes.length !== length) throw new BrokenInvariant(`${name}: asked for ${length} bytes, got ${bytes.length}`);
  }
}

/**
 * Checks, for a format that keeps every tensor plainly in one place of the file, that the places lie within the file and apart
 * from each other, and that reads return what is there. The places come from the reads, not from the reader's tables.
 */
export async function checkPlaces(checkpoint: Checkpoint, source: WatchedBytes): Promise<void> {
  const places: { name: string; start: number; end: number }[] = [];
  for (const [name, { byteLength }] of checkpoint.tensors) {
    if (byteLength > source.size) throw new BrokenInvariant(`${name} has more bytes than the file`);
    source.takeReads();
    const bytes = await checkpoint.read(name);
    if (byteLength === 0) continue;
    const [read, ...more] = source.takeReads();
    if (read === undefined || more.length > 0) throw new BrokenInvariant(`${name} took ${more.length + 1} reads`);
    const [start, length] = read;
    if (length !== byteLength || bytes.length !== byteLength) throw new BrokenInvariant(`${name} read ${length} bytes`);
    if (Buffer.compare(bytes, source.bytes.subarray(start, start + length)) !== 0)
      throw new BrokenInvariant(`${name} reads other bytes than the file has`);
    places.push({ name, start, end: start + length });
  }
  places.sort((left, right) => left.start - right.start);
  for (const [i, { name, start, end }] of places.entries()) {
    if (end > source.size) throw new BrokenInvariant(`${name} ends behind the file`);
    const before = places[i - 1];
    if (before !== undefined && start < before.end) throw new BrokenInvariant(`${before.name} and ${name} overlap`);
  }
}

/** The same work with a refusal while reading told apart: some formats can check bytes only when they read them. */
export async function refusedWhileReading(work: () => Promise<void>): Promise<BirdboneError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof BirdboneError) return error;
    throw error;
  }
}
