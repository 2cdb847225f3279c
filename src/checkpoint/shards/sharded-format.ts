import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Checkpoint } from '../checkpoint.js';
import { type ByteSource, FileSource } from '../files/bytes.js';
import { systemCode, unreadable, unreadableBecause } from '../files/failure.js';
import { quoted } from '../files/quote.js';
import type { CheckpointFormat } from '../format.js';
import { readShardIndex, type ShardIndex } from './shard-index.js';

/** One of the files that an index names, as its format reads it. */
export interface Shard {
  readonly file: ByteSource;
  /** The names that the index must have for it. */
  readonly names: readonly string[];
  /** Of its tensors. */
  readonly byteLength: number;
}

/** What the formats differ in that Hugging Face's tools write in several files with an index. */
export interface ShardedFormat<T extends Shard> {
  readonly name: string;
  /** What the shards' names end in; the index's name ends in this and `.index.json`. */
  readonly suffix: string;
  /** Reads what is in an opened shard. When it throws, the caller closes the file. */
  open(file: ByteSource): Promise<T>;
  /** One checkpoint over the shards, whose names differ; closing it closes their files. */
  join(indexPath: string, shards: readonly T[], notices: readonly string[]): Checkpoint;
}

/** The format of an index over shards: it opens all the files that the index names, each tensor being in one of them. */
export function shardedFormat<T extends Shard>(format: ShardedFormat<T>): CheckpointFormat {
  return {
    name: format.name,
    recognises: (_head, file) => file.endsWith(`${format.suffix}.index.json`),
    async open(index) {
      const checkpoint = await openShards(format, index.path, readShardIndex(index, format.suffix));
      await index.close();
      return checkpoint;
    },
  };
}

async function openShards<T extends Shard>(
  format: ShardedFormat<T>,
  indexPath: string,
  { weightMap, totalSize }: ShardIndex,
): Promise<Checkpoint> {
  const names = [...new Set(weightMap.values())].sort();
  await refuseMissing(indexPath, names);
  const shards: T[] = [];
  try {
    for (const name of names) shards.push(await openShard(format, path.join(path.dirname(indexPath), name)));
    checkAgainstIndex(indexPath, weightMap, shards);
    return format.join(indexPath, shards, totalSizeNotices(totalSize, shards));
  } catch (error) {
    for (const { file } of shards) await file.close();
    throw error;
  }
}

/** All missing shards in one message: after a broken download there are several. */
async function refuseMissing(indexPath: string, names: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) {
    const shard = path.join(path.dirname(indexPath), name);
    await stat(shard).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw unreadableBecause(shard, error);
      missing.push(name);
    });
  }
  if (missing.length === 0) return;
  const shown = missing.slice(0, 5).map(quoted).join(', ') + (missing.length > 5 ? ' …' : '');
  throw unreadable(indexPath, `it names ${names.length} files, and ${missing.length} are missing: ${shown}`);
}

async function openShard<T extends Shard>(format: ShardedFormat<T>, shard: string): Promise<T> {
  const file = await FileSource.open(shard);
  try {
    return await format.open(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Every tensor is in the one file that the index says, and in no other. */
function checkAgainstIndex(indexPath: string, weightMap: ReadonlyMap<string, string>, shards: readonly Shard[]): void {
  const index = path.basename(indexPath);
  const found = new Set<string>();
  for (const { file, names } of shards) {
    for (const tensor of names) {
      const named = weightMap.get(tensor);
      if (named === undefined) {
        throw unreadable(file.path, `its tensor ${quoted(tensor)} is not in ${index}`, { tensor });
      }
      if (named !== path.basename(file.path)) {
        const problem = `its tensor ${quoted(tensor)} belongs in ${quoted(named)} alone, says ${index}`;
        throw unreadable(file.path, problem, { tensor });
      }
      found.add(tensor);
    }
  }
  for (const [tensor, named] of weightMap) {
    if (!found.has(tensor)) throw unreadable(indexPath, `${quoted(named)} has no tensor ${quoted(tensor)}`, { tensor });
  }
}

/**
 * A wrong total_size is told, not refused: nothing is computed from it, every tensor's size is checked against its own
 * header, and tools that convert or quantize a model leave the old figure in many published checkpoints.
 */
function totalSizeNotices(totalSize: number | undefined, shards: readonly Shard[]): string[] {
  if (totalSize === undefined) return [];
  const bytes = shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return bytes === totalSize ? [] : [`The index declares ${totalSize} bytes of tensors; its files hold ${bytes}.`];
}
