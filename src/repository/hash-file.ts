import { createHash, type Hash } from 'node:crypto';
import {
  type ByteSource,
  beginTensorDigest,
  type Checkpoint,
  openBytes,
  type TensorInfo,
} from '../checkpoint/index.js';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { hashCheckpoint, metadataHash, type TensorDigest, type WeightHashes, weightsHash } from '../manifest/index.js';
import { readAhead } from '../threads/index.js';
import { type FileHashes, OPAQUE } from './weight-hashes.js';

export interface HashedFile {
  readonly hashes: FileHashes;
  /** Why the file is opaque; undefined when it is not. */
  readonly opaqueBecause?: string;
}

export interface HashFileOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that were read since the last call. */
  readonly onBytes?: (bytes: number) => void;
}

/** Large enough that a read costs nothing beside its bytes; three of them in memory are little. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Hashes of a file and of each of its tensors; what is in no format that birdbone reads, or breaks its rules, has that of the
 * file alone. Reads every byte once where a format stores tensors in one piece, and twice where it does not.
 * Throws `unreadable` for a file that changes meanwhile, `interrupted` on abort. The source stays open.
 */
export async function hashFile(path: string, source: ByteSource, options: HashFileOptions = {}): Promise<HashedFile> {
  const opened = await openOrReason(source);
  if (typeof opened === 'string') {
    const { sha256 } = await readThrough(source, [], options);
    return { hashes: { path, format: OPAQUE, size: source.size, sha256 }, opaqueBecause: opened };
  }
  const pieces = piecesOf(opened);
  const { sha256, digests } = await readThrough(source, pieces ?? [], options);
  const tensors = pieces === undefined ? (await hashCheckpoint(opened, watch(options))).tensors : digests;
  return { hashes: entryOf(path, source, sha256, { checkpoint: opened, tensors }) };
}

interface HashedTensors {
  readonly checkpoint: Checkpoint;
  readonly tensors: WeightHashes['tensors'];
}

function entryOf(path: string, source: ByteSource, sha256: string, { checkpoint, tensors }: HashedTensors): FileHashes {
  return {
    path,
    format: checkpoint.format,
    size: source.size,
    sha256,
    weights: weightsHash(tensors),
    // A file's own: what lies beside it, such as config.json, has git to watch it.
    metadata: metadataHash(checkpoint, null),
    tensors: [...tensors.keys()].sort().map((name) => ({ name, ...plain(tensors.get(name)!) })),
  };
}

function plain({ dtype, shape, sha256 }: TensorDigest) {
  return { dtype, shape: [...shape], sha256 };
}

async function openOrReason(source: ByteSource): Promise<Checkpoint | string> {
  try {
    return (await openBytes(source)) ?? 'its format is not known';
  } catch (error) {
    if (error instanceof BirdboneError && error.exitCode === UNREADABLE_EXIT) return error.message;
    throw error;
  }
}

/** Of both `unreadable` and `unsupported`. */
const UNREADABLE_EXIT = 3;

interface Piece {
  readonly info: TensorInfo;
  readonly start: number;
  readonly end: number;
}

/** The tensors in the order of the file; undefined where their bytes do not each lie in a piece of their own. */
function piecesOf({ starts, tensors }: Checkpoint): Piece[] | undefined {
  if (starts === undefined) return undefined;
  const pieces = [...tensors.values()]
    .map((info) => ({ info, start: starts.get(info.name)!, end: starts.get(info.name)! + info.byteLength }))
    .sort((left, right) => left.start - right.start || left.end - right.end);
  const overlap = pieces.some(({ start }, i) => i > 0 && start < pieces[i - 1]!.end);
  return overlap ? undefined : pieces;
}

/** Reads the whole file once, and gives the hash of it and of each piece. */
async function readThrough(source: ByteSource, pieces: readonly Piece[], { signal, onBytes }: HashFileOptions) {
  const file = createHash('sha256');
  const digests = new Map<string, TensorDigest>();
  let next = 0;
  let current: Hash | undefined;
  const addTo = (offset: number, bytes: Uint8Array): void => {
    for (; next < pieces.length; next += 1) {
      const { info, start, end } = pieces[next]!;
      if (start > offset + bytes.length) return;
      current ??= beginTensorDigest(info);
      current.update(bytes.subarray(Math.max(0, start - offset), Math.max(0, end - offset)));
      if (end > offset + bytes.length) return;
      digests.set(info.name, { dtype: info.dtype, shape: info.shape, sha256: current.digest('hex') });
      current = undefined;
    }
  };
  for await (const { offset, bytes } of readAhead(chunksOf(source))) {
    stopIfAborted(signal);
    file.update(bytes);
    addTo(offset, bytes);
    onBytes?.(bytes.length);
  }
  return { sha256: file.digest('hex'), digests };
}

function* chunksOf(source: ByteSource) {
  for (let offset = 0; offset < source.size; offset += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, source.size - offset);
    yield async () => ({ offset, bytes: await source.read(offset, length) });
  }
}

function watch({ signal }: HashFileOptions) {
  return signal === undefined ? {} : { signal };
}
