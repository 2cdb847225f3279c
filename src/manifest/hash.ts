import { createHash } from 'node:crypto';
import path from 'node:path';
import {
  beginTensorDigest,
  type Checkpoint,
  canonicalJson,
  type ReadRange,
  readJsonFile,
  type TensorInfo,
} from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import type { Dtype } from '../tensor/index.js';
import { readAhead, SpareMemory } from '../threads/index.js';

/** One tensor as a manifest knows it. */
export interface TensorDigest {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /**
   * sha256, in hex, of the UTF-8 text `${dtype}\0${shape.join(',')}\0` followed by the tensor's bytes as safetensors stores
   * them (row-major, little-endian). So the same bytes under another type or shape are another tensor.
   */
  readonly sha256: string;
}

/** Digests of a checkpoint, whole and tensor by tensor. */
export interface WeightHashes {
  /** Every stored tensor, in name order. An alias is not among them. */
  readonly tensors: ReadonlyMap<string, TensorDigest>;
  /** sha256 over `${name}\0${sha256}\n` of every tensor, in name order: the weights, however they are sharded. */
  readonly weights: string;
  /** sha256 of config.json's content as canonical JSON; null when the checkpoint has none beside it. */
  readonly config: string | null;
  /**
   * sha256 of everything but the values, as canonical JSON texts one after the other: `[config, aliases, metadata]`, where
   * aliases are `[alias, name]` pairs in order and metadata is the files' own, then `[name, dtype, shape]` of each tensor in
   * name order. Reformatting config.json does not change it.
   */
  readonly metadata: string;
}

export interface HashOptions {
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** Digests of tensors that need not be read for them, by stored name. */
type KnownDigests = ReadonlyMap<string, TensorDigest>;

/** Large enough that a read costs nothing beside its bytes; three of them in memory are little. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** A config.json beyond this is some other file. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Hashes of every tensor and of the checkpoint as a whole; see `WeightHashes` for what each covers. Reads every byte once, in
 * chunks, ahead of the hash. Equal for a model however it is sharded or ordered in its files.
 *
 * One thread hashes: with SHA instructions it takes in as much as a fast disk gives, and two threads on two cores, which the
 * reads need too, were 1.2 times as fast (docs/performance.md).
 *
 * Throws what the checkpoint's reads throw, `unreadable` for a broken config.json, `interrupted` when the signal is aborted.
 */
export function hashCheckpoint(checkpoint: Checkpoint, options: HashOptions = {}): Promise<WeightHashes> {
  return hashRest(checkpoint, new Map(), options);
}

/** The same, of which the digests of some tensors are known. */
export async function hashRest(
  checkpoint: Checkpoint,
  known: KnownDigests,
  { report = silent, signal }: HashOptions,
): Promise<WeightHashes> {
  const all = inNameOrder(checkpoint);
  const infos = all.filter(({ name }) => !known.has(name));
  const config = await hashConfig(checkpoint);
  const total = infos.reduce((sum, info) => sum + info.byteLength, 0);
  const found = new Map(known);
  let done = 0;
  let hash = createHash('sha256');
  const memory = new SpareMemory(CHUNK_BYTES);
  for await (const { info, offset, bytes, into } of readAhead(chunks(checkpoint, infos, memory))) {
    stopIfAborted(signal);
    if (offset === 0) hash = beginTensorDigest(info);
    hash.update(bytes);
    if (into !== undefined) memory.give(into.buffer);
    done += bytes.length;
    if (offset + bytes.length < info.byteLength) continue;
    found.set(info.name, { dtype: info.dtype, shape: info.shape, sha256: hash.digest('hex') });
    report({ type: 'progress', stage: 'hash', done, total, unit: 'bytes' });
  }
  const tensors = new Map(all.map(({ name }) => [name, found.get(name)!]));
  return { tensors, weights: weightsHash(tensors), config, metadata: metadataHash(checkpoint, config) };
}

/** The hash over all tensors, from their digests: what `WeightHashes.weights` says. */
export function weightsHash(tensors: ReadonlyMap<string, { readonly sha256: string }>): string {
  const hash = createHash('sha256');
  for (const name of [...tensors.keys()].sort()) hash.update(`${name}\0${tensors.get(name)!.sha256}\n`);
  return hash.digest('hex');
}

function inNameOrder(checkpoint: Checkpoint): TensorInfo[] {
  return [...checkpoint.tensors.keys()].sort().map((name) => checkpoint.tensors.get(name)!);
}

/** One read per chunk over all tensors, so that small tensors are read ahead as well. An empty tensor has one empty chunk. */
function* chunks(checkpoint: Checkpoint, infos: readonly TensorInfo[], memory: SpareMemory) {
  for (const info of infos) {
    let offset = 0;
    do {
      const range = { offset, length: Math.min(CHUNK_BYTES, info.byteLength - offset) };
      yield async () => {
        // What is small costs nothing, and a small model has no use for so much memory.
        const into = range.length === CHUNK_BYTES ? memory.take() : undefined;
        const bytes = await readRange(checkpoint, info, { ...range, ...(into && { into }) });
        return { info, offset: range.offset, bytes, into };
      };
      offset += range.length;
    } while (offset < info.byteLength);
  }
}

async function readRange(checkpoint: Checkpoint, info: TensorInfo, range: ReadRange) {
  return range.length === 0 ? new Uint8Array(0) : checkpoint.read(info.name, range);
}

async function hashConfig(checkpoint: Checkpoint): Promise<string | null> {
  const config = await readConfig(checkpoint);
  return config === undefined ? null : createHash('sha256').update(canonicalJson(config)).digest('hex');
}

/**
 * What a checkpoint's config.json says, the one it holds inside or the one in its folder; undefined for a folder without one and
 * for a lone file.
 */
export async function readConfig({ path: at, companions }: Checkpoint): Promise<unknown> {
  const inside = companions?.get('config.json');
  if (inside !== undefined) return JSON.parse(inside) as unknown;
  return (await readJsonFile(path.join(at, 'config.json'), { maxBytes: MAX_CONFIG_BYTES, strict: true }))?.value;
}

/** The hash of everything but the values: what `WeightHashes.metadata` says. */
export function metadataHash(checkpoint: Checkpoint, config: string | null): string {
  const hash = createHash('sha256');
  const aliases = [...checkpoint.aliases].sort(([left], [right]) => (left < right ? -1 : 1));
  hash.update(canonicalJson([config, aliases, checkpoint.metadata]));
  for (const { name, dtype, shape } of inNameOrder(checkpoint)) hash.update(canonicalJson([name, dtype, shape]));
  return hash.digest('hex');
}
