import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Checkpoint } from '../checkpoint.js';
import { FileSource } from '../files/bytes.js';
import { systemCode, unreadable, unreadableBecause } from '../files/failure.js';
import { quoted } from '../files/quote.js';
import type { CheckpointFormat } from '../format.js';
import { readSafetensorsHeader } from './header.js';
import { checkpointOf, type OpenedFile } from './safetensors.js';
import { readShardIndex, type ShardIndex } from './shard-index.js';

/** The index that Hugging Face writes beside shards, and the shards that it names. */
export const safetensorsIndex: CheckpointFormat = {
  name: 'safetensors',
  recognises: (_head, file) => file.endsWith('.safetensors.index.json'),
  async open(index) {
    const checkpoint = await openShards(index.path, readShardIndex(index));
    await index.close();
    return checkpoint;
  },
};

async function openShards(indexPath: string, { weightMap, totalSize }: ShardIndex): Promise<Checkpoint> {
  const names = [...new Set(weightMap.values())].sort();
  await refuseMissing(indexPath, names);
  const files: OpenedFile[] = [];
  try {
    for (const name of names) files.push(await openShard(path.join(path.dirname(indexPath), name)));
    checkAgainstIndex(indexPath, weightMap, files);
    return checkpointOf(indexPath, files, totalSizeNotices(totalSize, files));
  } catch (error) {
    for (const { file } of files) await file.close();
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

async function openShard(shard: string): Promise<OpenedFile> {
  const file = await FileSource.open(shard);
  try {
    return { file, header: readSafetensorsHeader(file) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Every tensor is in the one file that the index says, and in no other. */
function checkAgainstIndex(
  indexPath: string,
  weightMap: ReadonlyMap<string, string>,
  files: readonly OpenedFile[],
): void {
  const index = path.basename(indexPath);
  const found = new Set<string>();
  for (const { file, header } of files) {
    for (const tensor of header.tensors.keys()) {
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
function totalSizeNotices(totalSize: number | undefined, files: readonly OpenedFile[]): string[] {
  if (totalSize === undefined) return [];
  let bytes = 0;
  for (const { header } of files) for (const { byteLength } of header.tensors.values()) bytes += byteLength;
  return bytes === totalSize ? [] : [`The index declares ${totalSize} bytes of tensors; its files hold ${bytes}.`];
}
