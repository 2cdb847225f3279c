import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { diffCheckpoints, hashCheckpoint } from '../../src/manifest/index.js';
import { markdownTable } from '../record.js';
import { writeSyntheticMistral } from '../synthetic-mistral.js';
import { interleave, secondsOf, secondsOfProgram } from '../timing.js';
import { partOf } from './part.js';

const ROUNDS = 5;

export interface Hashing {
  readonly bytes: number;
  /** Bytes of one checkpoint per second; for a diff, which reads two, of one as well. */
  readonly work: readonly {
    readonly name: string;
    readonly bytesPerSecond: number;
    readonly sha256sumBytesPerSecond: number;
    readonly ratio: number;
  }[];
}

export default partOf('Hashing and diffing against sha256sum', hashing, renderHashing);

/**
 * Hashing and diffing a checkpoint of 1 GB (embedding, head and one block of Mistral-7B, bf16) against `sha256sum` of the same
 * files, all in the page cache.
 */
async function hashing(): Promise<Hashing> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-bench-'));
  const [dense, copy, pruned] = ['dense', 'copy', 'pruned'].map((name) => path.join(folder, name)) as [
    string,
    string,
    string,
  ];
  try {
    await writeSyntheticMistral(dense, { blocks: 1 });
    await cp(dense, copy, { recursive: true });
    await writeSyntheticMistral(pruned, { blocks: 1, sparsity: 0.5 });
    const shards = (await readdir(dense)).filter((name) => name.endsWith('.safetensors'));
    const bytes = await sizeOf(dense);
    const sha256sum = async () =>
      secondsOfProgram(
        'sha256sum',
        shards.map((name) => path.join(dense, name)),
      );
    const work: Hashing['work'][number][] = [];
    for (const [name, run] of [
      ['hash', () => hash(dense)],
      ['diff, nothing changed', () => diff(dense, copy)],
      ['diff, half of the values removed', () => diff(dense, pruned)],
    ] as const) {
      const { ours, theirs, ratio } = await interleave(ROUNDS, () => secondsOf(run), sha256sum);
      work.push({ name, bytesPerSecond: bytes / ours, sha256sumBytesPerSecond: bytes / theirs, ratio });
      console.log(
        `  ${name.padEnd(34)} ${gigabytes(bytes / ours)}, sha256sum ${gigabytes(bytes / theirs)}, ratio ${ratio.toFixed(2)}`,
      );
    }
    return { bytes, work };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function renderHashing({ work }: Hashing): string {
  return markdownTable(
    ['work', 'ours', '`sha256sum`', 'ratio'],
    work.map(({ name, bytesPerSecond, sha256sumBytesPerSecond, ratio }) => [
      name,
      gigabytes(bytesPerSecond),
      gigabytes(sha256sumBytesPerSecond),
      ratio.toFixed(2),
    ]),
  );
}

async function hash(folder: string): Promise<void> {
  const checkpoint = await openCheckpoint(folder);
  await hashCheckpoint(checkpoint);
  await checkpoint.close();
}

async function diff(before: string, after: string): Promise<void> {
  const [left, right] = [await openCheckpoint(before), await openCheckpoint(after)];
  await diffCheckpoints(left, right);
  await left.close();
  await right.close();
}

async function sizeOf(folder: string): Promise<number> {
  const checkpoint = await openCheckpoint(folder);
  await checkpoint.close();
  return [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function gigabytes(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`;
}
