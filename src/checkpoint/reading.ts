import { DTYPES, decodeInto, decodeToF32 } from '../tensor/index.js';
import { readAhead } from '../threads/index.js';
import type { Checkpoint, TensorInfo } from './checkpoint.js';
import { noSuchTensor } from './safetensors/safetensors.js';
import { elementsOf, unitBytesOf } from './tensor-info.js';

const CHUNK_BYTES = 8 * 1024 * 1024;

/** The stored tensor that a name or an alias means. Throws `unreadable` when there is none. */
export function tensorOf(checkpoint: Checkpoint, name: string): TensorInfo {
  const info = checkpoint.tensors.get(checkpoint.aliases.get(name) ?? name);
  if (info === undefined) throw noSuchTensor(checkpoint.path, name);
  return info;
}

/**
 * A tensor's bytes in order, in chunks of at most `chunkBytes` (and at least one element) that never split an element.
 * A tensor without elements has no chunks.
 */
export async function* chunksOf(
  checkpoint: Checkpoint,
  name: string,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<Uint8Array, void, undefined> {
  const info = tensorOf(checkpoint, name);
  const unit = unitBytesOf(info);
  const step = Math.max(unit, chunkBytes - (chunkBytes % unit));
  for (let offset = 0; offset < info.byteLength; offset += step) {
    yield await checkpoint.read(info.name, { offset, length: Math.min(step, info.byteLength - offset) });
  }
}

/** Rows of a tensor's leading dimension. */
interface Rows {
  readonly start: number;
  readonly count: number;
}

/**
 * A tensor's values, or those of `count` rows of its leading dimension from `start` on, widened to float32 and row-major.
 * Beside the result it needs one chunk of memory. Throws `unsupported` for types without a float value (see `decodeToF32`).
 */
export async function readFloats(checkpoint: Checkpoint, name: string, rows?: Rows): Promise<Float32Array> {
  const info = tensorOf(checkpoint, name);
  const { offset, length } = rangeOf(info, rows);
  if (length <= CHUNK_BYTES) return decodeToF32(await checkpoint.read(info.name, { offset, length }), info.dtype);
  const values = new Float32Array((length * 8) / DTYPES[info.dtype].bits);
  await readFloatsInto(checkpoint, name, () => values, rows);
  return values;
}

/** What is read ahead of the widening: little, so that it is still in a core's cache then, and enough that a read costs nothing beside it. */
const PIECE_BYTES = 1024 * 1024;
const AHEAD = 2;

/** What pieces go through on their way, over and over; undefined while somebody reads. */
let spare: readonly Uint8Array[] | undefined;

/**
 * As `readFloats`, into memory that `target` is asked for before each piece is widened, since it may have moved. The next pieces are
 * read while one is widened, and no memory is taken beside it that is not used again for the next tensor.
 */
export async function readFloatsInto(
  checkpoint: Checkpoint,
  name: string,
  target: () => Float32Array,
  rows?: Rows,
): Promise<void> {
  const info = tensorOf(checkpoint, name);
  const pieces = spare ?? Array.from({ length: AHEAD + 1 }, () => new Uint8Array(PIECE_BYTES));
  spare = undefined;
  let done = 0;
  for await (const bytes of readAhead(readsInto(pieces, checkpoint, info, rangeOf(info, rows)), AHEAD)) {
    done += decodeInto(bytes, info.dtype, target().subarray(done));
  }
  spare = pieces;
}

/**
 * The reads of a part of a tensor for `readAhead`, each into one of some pieces of memory, which are used in turn; none splits an element
 * or block.
 */
export function* readsInto(
  pieces: readonly Uint8Array[],
  checkpoint: Checkpoint,
  info: TensorInfo,
  { offset, length }: ByteRange = { offset: 0, length: info.byteLength },
): Generator<() => Promise<Uint8Array>> {
  const most = pieces[0]!.length;
  const step = most - (most % unitBytesOf(info));
  for (let from = 0; from < length; from += step) {
    const into = pieces[(from / step) % pieces.length]!;
    yield () => checkpoint.read(info.name, { offset: offset + from, length: Math.min(step, length - from), into });
  }
}

interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

function rangeOf(info: TensorInfo, rows: Rows | undefined): ByteRange {
  return rows === undefined ? { offset: 0, length: info.byteLength } : bytesOfRows(info, rows);
}

function bytesOfRows(info: TensorInfo, { start, count }: Rows) {
  const [rows, ...rest] = info.shape;
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(count);
  if (rows === undefined || !whole || start < 0 || count < 0 || start + count > rows) {
    throw new RangeError(`Rows ${start} + ${count} are not within ${info.name}, whose shape is [${info.shape}].`);
  }
  const rowBytes = (elementsOf(rest) * DTYPES[info.dtype].bits) / 8;
  if (rowBytes % unitBytesOf(info) !== 0) {
    throw new RangeError(`Rows of ${info.name} are no whole bytes or blocks of ${info.dtype} [${info.shape}].`);
  }
  return { offset: start * rowBytes, length: count * rowBytes };
}
