import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { readAhead } from '../threads/index.js';
import { carryFile, planCarry } from './carry.js';
import type { Checkpoint, TensorInfo } from './checkpoint.js';
import { syncFolder, writeFileDurably } from './files/durable.js';
import { unreadableBecause } from './files/failure.js';
import { readsInto } from './reading.js';
import { INDEX_FILE, indexText, type Shard, splitIntoShards } from './safetensors/sharding.js';
import { SafetensorsWriter } from './safetensors/writer.js';

/** What other tools write by default. */
export const DEFAULT_SHARD_BYTES = 5_000_000_000;

/** New memory costs the system more than a call does: with chunks of 8 MB a copy takes twice the processor time. */
const COPY_CHUNK_BYTES = 1024 * 1024;

/** One is being written, one read, and two are on their way through digests: as it is stored, and as it is published. */
const COPY_PIECES = 4;

export interface WriteOptions {
  /** A folder whose other files (config, tokenizer, licence …) go along; see `planCarry` for which. */
  readonly carryFrom?: string;
  /** Bytes of tensors in one file; a larger tensor has a file of its own. */
  readonly maxShardBytes?: number;
  /** Texts by plain file name; they win over carried files. */
  readonly extraFiles?: Readonly<Record<string, string>>;
  /** More of them, that are made when every tensor has been read and written: what tells of their bytes. */
  readonly lastFiles?: () => Promise<Readonly<Record<string, string>>>;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Writes a checkpoint and its companions into an existing empty folder, a chunk at a time, with everything on disk when it
 * returns. The same tensors, metadata and options make the same bytes. Reports progress in bytes, and as a notice each file that
 * it left behind.
 *
 * When it throws (`unwritable`, `unreadable`, `interrupted`) the folder holds an unfinished checkpoint, for the caller to
 * remove: write beside the place and rename.
 */
export async function writeCheckpoint(source: Checkpoint, folder: string, options: WriteOptions = {}): Promise<void> {
  const { carryFrom, maxShardBytes = DEFAULT_SHARD_BYTES, extraFiles = {}, report = silent, signal } = options;
  await refuseUnlessEmpty(folder);
  const infos = [...source.tensors.values()];
  const shards = splitIntoShards(infos, maxShardBytes);
  const texts = new Map([...(source.companions ?? []), ...Object.entries(extraFiles)]);
  if (shards.length > 1) texts.set(INDEX_FILE, indexText(shards));
  refuseMisnamed([...texts.keys()], shards);
  const carried = carryFrom === undefined ? { files: [], left: [] } : await planCarry(carryFrom, folder);
  for (const { name, reason } of carried.left)
    report({ type: 'notice', message: `Not carried over: ${name}, ${reason}.` });

  const total = infos.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let done = 0;
  const advance = (bytes: number) => {
    done += bytes;
    report({ type: 'progress', stage: 'write', done, total, unit: 'bytes' });
  };
  const pieces = Array.from({ length: COPY_PIECES }, () => new Uint8Array(new SharedArrayBuffer(COPY_CHUNK_BYTES)));
  for (const shard of shards) await writeShard(source, folder, shard, { signal, advance, pieces });
  for (const file of carried.files) {
    stopIfAborted(signal);
    if (source.outdated?.includes(file.name)) {
      report({ type: 'notice', message: `Not carried over: ${file.name}, which fits the weights no more.` });
    } else if (!texts.has(file.name)) await carryFile(file, folder);
  }
  const last = Object.entries((await options.lastFiles?.()) ?? {});
  refuseMisnamed(
    last.map(([name]) => name),
    shards,
  );
  for (const [name, text] of new Map([...texts, ...last])) await writeFileDurably(path.join(folder, name), text);
  await syncFolder(folder);
}

function refuseMisnamed(texts: readonly string[], shards: readonly Shard[]): void {
  for (const name of texts) {
    const isPlain = path.basename(name) === name && !['', '.', '..'].includes(name);
    if (!isPlain || shards.some(({ file }) => file === name))
      throw new RangeError(`${name} cannot be a file of its own.`);
  }
}

async function refuseUnlessEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw unreadableBecause(folder, error);
  });
  if (names.length === 0) return;
  throw new BirdboneError('unwritable', `Cannot write into ${folder}: it is not empty (${names[0]}).`, {
    file: folder,
    suggestions: ['Name a folder that does not exist yet.'],
  });
}

interface ShardWork {
  readonly signal: AbortSignal | undefined;
  readonly advance: (bytes: number) => void;
  /** Memory of a chunk each, for threads as well: new memory for each would make V8 look for garbage, and take a copy to be hashed. */
  readonly pieces: readonly Uint8Array[];
}

async function writeShard(source: Checkpoint, folder: string, { file, infos }: Shard, work: ShardWork): Promise<void> {
  const writer = await SafetensorsWriter.create(path.join(folder, file), infos, source.metadata);
  try {
    for (const info of infos) await copyTensor(source, info, writer, work);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Reads the next chunks while one is being written, each into the piece of memory that was written last: reading costs no time of its own. */
async function copyTensor(
  source: Checkpoint,
  info: TensorInfo,
  writer: SafetensorsWriter,
  { signal, advance, pieces }: ShardWork,
): Promise<void> {
  let offset = 0;
  for await (const bytes of readAhead(readsInto(pieces, source, info), pieces.length - 1)) {
    stopIfAborted(signal);
    await writer.write(info.name, offset, bytes);
    offset += bytes.length;
    advance(bytes.length);
  }
}
