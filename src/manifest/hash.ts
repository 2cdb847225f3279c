import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { type Checkpoint, canonicalJson, readJsonFile, type TensorInfo } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import type { Dtype } from '../tensor/index.js';
import { readAhead, type SpareMemory } from '../threads/index.js';
import { openDigests } from './digests.js';

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

/** As many take in what two fast disks give. */
const MAX_HASHING_THREADS = 4;

/** A config.json beyond this is some other file. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Hashes of every tensor and of the checkpoint as a whole; see `WeightHashes` for what each covers. Reads every byte once, in
 * chunks, ahead of the hash. Equal for a model however it is sharded or ordered in its files.
 *
 * Large checkpoints are hashed on threads, a tensor on one of them: with SHA instructions a core takes in as much as a fast disk gives.
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
  const hashed = (info: TensorInfo, sha256: string) => {
    found.set(info.name, { dtype: info.dtype, shape: info.shape, sha256 });
    done += info.byteLength;
    report({ type: 'progress', stage: 'hash', done, total, unit: 'bytes' });
  };
  await hashTensors(checkpoint, infos, { hashed, signal });
  const tensors = new Map(all.map(({ name }) => [name, found.get(name)!]));
  return { tensors, weights: weightsHash(tensors), config, metadata: metadataHash(checkpoint, config) };
}

interface TensorHashing {
  hashed(info: TensorInfo, sha256: string): void;
  readonly signal: AbortSignal | undefined;
}

/** Reads and hashes tensors, as many side by side as there are threads for. */
async function hashTensors(checkpoint: Checkpoint, infos: readonly TensorInfo[], { hashed, signal }: TensorHashing) {
  const total = infos.reduce((sum, info) => sum + info.byteLength, 0);
  const digests = openDigests(total, Math.min(MAX_HASHING_THREADS, availableParallelism()));
  const queue = infos.values();
  let isOver = false;
  const hashSome = async (thread: number) => {
    try {
      for (const info of queue) {
        if (isOver) return;
        const digest = digests.begin(info, thread);
        for await (const bytes of readAhead(chunks(checkpoint, info, digests.memory))) {
          stopIfAborted(signal);
          await digest.updateOwn(bytes);
        }
        hashed(info, await digest.end());
      }
    } catch (error) {
      isOver = true;
      throw error;
    }
  };
  try {
    // Settled, not all: a read that goes on after this one is thrown would meet a closed file.
    const lanes = await Promise.allSettled(Array.from({ length: digests.parallel }, (_, thread) => hashSome(thread)));
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
  } finally {
    await digests.close();
  }
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

/** One read per chunk, each at the start of a piece of memory. An empty tensor has none. */
function* chunks(checkpoint: Checkpoint, { name, byteLength }: TensorInfo, memory: SpareMemory) {
  for (let offset = 0; offset < byteLength; offset += memory.bytes) {
    const range = { offset, length: Math.min(memory.bytes, byteLength - offset) };
    yield async () => {
      const into = memory.take();
      const bytes = await checkpoint.read(name, { ...range, into });
      const own = into.subarray(0, range.length);
      if (bytes.buffer !== into.buffer) own.set(bytes);
      return own;
    };
  }
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
