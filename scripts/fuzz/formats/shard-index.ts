import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { memorySource } from '../../../src/checkpoint/files/bytes.js';
import type { CheckpointFormat } from '../../../src/checkpoint/format.js';
import { safetensorsIndex } from '../../../src/checkpoint/safetensors/shards.js';
import { torchIndex } from '../../../src/checkpoint/torch/shards.js';
import { boundary } from '../boundary.js';
import type { FuzzFormat, Verdict } from '../fuzz-format.js';
import { type JsonTree, textOf, treeOf } from '../json-tree.js';
import { mutateBytes } from '../mutate-bytes.js';
import { mutateJson } from '../mutate-json.js';
import { checkTensors } from '../opened.js';
import type { PickledTensor } from '../pickle-draft.js';
import type { Random } from '../random.js';
import { checkRefusal } from '../refusal.js';
import { torchArchive } from './torch-zip.js';

/** How one format's shards are written: what its files are called, and their bytes by the names of their one-byte tensors. */
interface ShardWriting {
  readonly name: string;
  readonly stem: string;
  readonly suffix: string;
  readonly reader: CheckpointFormat;
  readonly shard: (tensors: readonly string[]) => Uint8Array;
}

/** The tensors of each shard on disk; the third repeats one of the first's, and no sound index names it. */
const SHARDS: readonly (readonly string[])[] = [['w.0', 'w.1'], ['w.2'], ['w.0', 'w.3']];

function safetensorsShard(tensors: readonly string[]): Uint8Array {
  const entries = tensors.map((name, i) => [name, { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] }]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, header, Buffer.alloc(tensors.length, 7)]);
}

function torchShard(tensors: readonly string[]): Uint8Array {
  const pickled = tensors.map((name, i): PickledTensor => {
    return { name, storage: 'BoolStorage', key: String(i), elements: 1, offset: 0, shape: [1], strides: [1] };
  });
  return torchArchive(pickled);
}

function shardIndex({ name, stem, suffix, reader, shard }: ShardWriting): FuzzFormat {
  const fileOf = (i: number) => `${stem}-${i + 1}${suffix}`;
  const index = (shards: readonly number[], extra: object = {}) => ({
    metadata: { total_size: shards.reduce((sum, i) => sum + SHARDS[i]!.length, 0), ...extra },
    weight_map: Object.fromEntries(shards.flatMap((i) => SHARDS[i]!.map((tensor) => [tensor, fileOf(i)]))),
  });
  const trees = [index([0]), index([0, 1]), index([1], { dtype: 'x', nested: [{ a: 1 }] })].map(treeOf);
  const sound = trees.map((tree) => Buffer.from(textOf(tree)));
  const words = [
    ...[...SHARDS.flat(), 'w.9', ...SHARDS.map((_, i) => fileOf(i)), fileOf(8), `./${fileOf(0)}`, `../${fileOf(0)}`],
    ...[`${stem}-1${suffix}/`, `.${fileOf(0)}`, `a\\${fileOf(0)}`, `C:${fileOf(0)}`, `${fileOf(0)}\0`, `/${fileOf(0)}`],
    ...[`folder${suffix}`, `${'a'.repeat(300)}${suffix}`, `https://example.org/${fileOf(0)}`],
  ].map((word) => JSON.stringify(word));
  const folder = lazily(() => {
    const made = mkdtempSync(path.join(tmpdir(), 'birdbone-fuzz-'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    for (const [i, tensors] of SHARDS.entries()) writeFileSync(path.join(made, fileOf(i)), shard(tensors));
    return made;
  });
  return {
    name,
    sound,
    mutate: (random) => mutateIndex(random, { trees, sound, words }),
    check: (bytes) => checkIndex(reader, path.join(folder(), `${stem}${suffix}.index.json`), bytes),
  };
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function mutateIndex(
  random: Random,
  { trees, sound, words }: { trees: readonly JsonTree[]; sound: readonly Buffer[]; words: readonly string[] },
): Uint8Array {
  if (random.oneIn(8)) return mutateBytes(random.pick(sound), random, sound);
  let tree = random.pick(trees);
  for (let steps = 1 + random.below(3); steps > 0; steps -= 1) tree = mutateJson(tree, random, words);
  const bytes = Buffer.from(textOf(tree).replace(/9007199254740993/, String(boundary(random))));
  return random.oneIn(8) ? mutateBytes(bytes, random, sound) : bytes;
}

/** The shards are real files beside the index, which is only in memory. A refusal names the index or one of them. */
async function checkIndex(reader: CheckpointFormat, file: string, bytes: Uint8Array): Promise<Verdict> {
  let checkpoint: Checkpoint;
  try {
    checkpoint = await reader.open(memorySource(file, bytes));
  } catch (error) {
    checkRefusal(error, path.dirname(file));
    return 'refused';
  }
  await checkTensors(checkpoint, () => ({ bits: 8 }));
  await checkpoint.close();
  return 'opened';
}

export const safetensorsShards = shardIndex({
  ...{ name: 'safetensors-index', stem: 'model', suffix: '.safetensors' },
  ...{ reader: safetensorsIndex, shard: safetensorsShard },
});

export const torchShards = shardIndex({
  ...{ name: 'torch-index', stem: 'pytorch_model', suffix: '.bin' },
  ...{ reader: torchIndex, shard: torchShard },
});
