import type { ByteSource } from '../files/bytes.js';
import { unreadable } from '../files/failure.js';
import { JsonReader } from '../files/json-reader.js';
import { quoted } from '../files/quote.js';

/** Published models have at most a few hundred. Each stays open, and Linux allows 1024 open files unless told otherwise. */
const MAX_SHARDS = 1000;
const MAX_INDEX_BYTES = 64_000_000;
/** All strings of the index; every tensor's name and its file's are among them. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

export interface ShardIndex {
  /** Tensor name → file name, a plain one. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** What the index says of all tensors' bytes. */
  readonly totalSize: number | undefined;
}

/**
 * Reads a model.safetensors.index.json or its like; see `refuseUnsafeName` for the file names it allows, which end in
 * `suffix`. Throws `unreadable`.
 */
export function readShardIndex(file: ByteSource, suffix: string): ShardIndex {
  const fail = (problem: string): never => {
    throw unreadable(file.path, problem);
  };
  if (file.size > MAX_INDEX_BYTES) fail(`it has ${file.size} bytes; an index may have ${MAX_INDEX_BYTES}`);
  const json = new JsonReader(file, { start: 0, end: file.size, maxTextBytes: MAX_TEXT_BYTES }, fail);
  let weightMap: ReadonlyMap<string, string> | undefined;
  let totalSize: number | undefined;
  json.object('the index', (key) => {
    if (key === 'weight_map') weightMap = readWeightMap(json, suffix);
    else if (key === 'metadata') totalSize = readTotalSize(json);
    else json.skip(quoted(key));
  });
  json.end('the index', 'white space');
  if (weightMap === undefined || weightMap.size === 0) return fail('it has no weight_map, or an empty one');
  return { weightMap, totalSize };
}

function readWeightMap(json: JsonReader, suffix: string): Map<string, string> {
  const weightMap = new Map<string, string>();
  // One string for each file instead of one for each tensor, and each checked once.
  const files = new Map<string, string>();
  json.object('weight_map', (tensor) => {
    const name = json.string('weight_map');
    if (!files.has(name)) {
      refuseUnsafeName(name, { tensor, suffix }, json.fail);
      if (files.size === MAX_SHARDS) json.fail(`weight_map names over ${MAX_SHARDS} files`);
      files.set(name, name);
    }
    weightMap.set(tensor, files.get(name)!);
  });
  return weightMap;
}

/**
 * A shard's name must be that of a file beside the index: an index comes from strangers, and must not choose which other file
 * of this computer is read. The file itself may be a symbolic link to a regular file anywhere, because in Hugging Face's cache
 * all of them are (to `../../blobs/`), and because a link leads only to a file that passes every check of a shard.
 */
function refuseUnsafeName(
  name: string,
  { tensor, suffix }: { readonly tensor: string; readonly suffix: string },
  fail: (problem: string) => never,
): void {
  const plain = !/[/\\:]|\p{Cc}/u.test(name) && Buffer.byteLength(name) <= 255;
  if (plain && !name.startsWith('.') && name.endsWith(suffix)) return;
  fail(
    `weight_map puts ${quoted(tensor)} into the file ${quoted(name)}; allowed are names that end in ${suffix}, ` +
      'have no folder, drive or protocol and do not start with a dot',
  );
}

function readTotalSize(json: JsonReader): number | undefined {
  let totalSize: number | undefined;
  json.object('metadata', (key) => {
    if (key === 'total_size') totalSize = json.integer('total_size');
    else json.skip(`metadata, ${quoted(key)}`);
  });
  return totalSize;
}
