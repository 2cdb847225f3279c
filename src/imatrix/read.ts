import {
  type Checkpoint,
  FileSource,
  type GgufMetadata,
  ggufMetadata,
  openCheckpoint,
  quoted,
  readFloats,
  unreadable,
} from '../checkpoint/index.js';
import { checkedEntry, type Imatrix, type ImatrixEntry } from './imatrix.js';
import { readOldImatrix } from './read-old.js';

const SUMS = '.in_sum2';
const COUNTS = '.counts';
const MAGIC = 'GGUF';
/** It is held in memory. One of DeepSeek-V3 (58 layers of 256 experts with 7,168 and 2,048 columns) takes 1 GB. */
const MAX_BYTES = 2 * 2 ** 30;

/**
 * Reads an importance matrix of llama.cpp's: a GGUF of the type imatrix, or the binary form that llama-imatrix wrote before it. Throws
 * `unreadable` for a file that is neither, sums that are negative or no numbers, and counts that do not divide them.
 *
 * Source: ggml-org/llama.cpp, tools/imatrix/imatrix.cpp (`load_imatrix`, `load_imatrix_legacy`).
 */
export async function readImatrix(file: string): Promise<Imatrix> {
  const source = await FileSource.open(file);
  try {
    if (source.size > MAX_BYTES)
      throw unreadable(file, `it has ${source.size} bytes, and no importance matrix takes 2 GiB`);
    const head = source.size < MAGIC.length ? '' : Buffer.from(await source.read(0, MAGIC.length)).toString('latin1');
    if (head !== MAGIC) return await readOldImatrix(source);
  } finally {
    await source.close();
  }
  const checkpoint = await openCheckpoint(file);
  try {
    return await entriesOf(checkpoint, ggufMetadata(checkpoint)!);
  } finally {
    await checkpoint.close();
  }
}

async function entriesOf(checkpoint: Checkpoint, metadata: GgufMetadata): Promise<Imatrix> {
  const type = metadata.get('general.type');
  if (type?.type !== 'string' || type.value !== 'imatrix') {
    throw unreadable(checkpoint.path, 'it is a GGUF whose general.type is not imatrix', {
      suggestions: ['Name a file that llama-imatrix or birdbone imatrix has written.'],
    });
  }
  const names = [...checkpoint.tensors.keys()]
    .filter((name) => name.endsWith(SUMS))
    .map((name) => name.slice(0, -SUMS.length));
  const entries = new Map<string, ImatrixEntry>();
  for (const name of names) entries.set(name, await entryOf(checkpoint, name));
  if (entries.size === 0) throw unreadable(checkpoint.path, 'it has no sums');
  const datasets = metadata.get('imatrix.datasets');
  return {
    entries,
    datasets: datasets?.type === 'array' && datasets.of === 'string' ? datasets.values : [],
    chunks: numberOf(metadata, 'imatrix.chunk_count'),
    chunkSize: numberOf(metadata, 'imatrix.chunk_size'),
  };
}

async function entryOf(checkpoint: Checkpoint, name: string): Promise<ImatrixEntry> {
  const sumsInfo = checkpoint.tensors.get(name + SUMS)!;
  const countsInfo = checkpoint.tensors.get(name + COUNTS);
  const broken = (problem: string) =>
    unreadable(checkpoint.path, `${quoted(name)} ${problem}`, { tensor: name + SUMS });
  if (countsInfo === undefined) throw broken('has sums and no counts');
  if (sumsInfo.dtype !== 'F32' || countsInfo.dtype !== 'F32') throw broken('has sums or counts that are not F32');
  const counts = await readFloats(checkpoint, countsInfo.name);
  const sums = await readFloats(checkpoint, sumsInfo.name);
  return checkedEntry({ sums, counts }, broken);
}

function numberOf(metadata: GgufMetadata, key: string): number {
  const value = metadata.get(key);
  return value?.type === 'u32' ? value.value : 0;
}
