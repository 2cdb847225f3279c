import { createHash } from 'node:crypto';
import { openCheckpoint, readFloats, SafetensorsWriter, type TensorInfo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { encodeFromF32 } from '../tensor/index.js';
import type { StateArray, TrainState } from './types.js';

/** A training that can go on: snapshots, oldest first, and what is remembered besides. */
export interface Progress<Memory> {
  readonly snapshots: readonly TrainState[];
  /** Plain JSON. */
  readonly memory: Memory;
}

/** What a progress file is about: it is of use to the same work alone. */
export interface ProgressKey {
  readonly file: string;
  /** Digest of everything that decides the training. */
  readonly work: string;
}

const RECORD = 'birdbone.healing';

/** Tensors whose bytes are hashed and written one by one. */
interface NamedArray extends StateArray {
  readonly name: string;
}

interface ProgressRecord<Memory> {
  readonly work: string;
  /** sha256 over the bytes of all arrays, in the order of their names. */
  readonly arrays: string;
  readonly snapshots: readonly Pick<TrainState, 'step' | 'skipped' | 'rateScale'>[];
  readonly memory: Memory;
}

/** Puts a progress file in the place of the one before, whole or not at all; it is on disk when this returns. Throws `unwritable`. */
export async function saveProgress<Memory>({ file, work }: ProgressKey, progress: Progress<Memory>): Promise<void> {
  const { snapshots, memory } = progress;
  const arrays = namedArrays(snapshots);
  const record: ProgressRecord<Memory> = {
    work,
    arrays: digestOf(arrays.map(({ values }) => bytesOf(values))),
    snapshots: snapshots.map(({ step, skipped, rateScale }) => ({ step, skipped, rateScale })),
    memory,
  };
  const infos = arrays.map(
    ({ name, shape, values }): TensorInfo => ({ name, dtype: 'F32', shape: [...shape], byteLength: values.byteLength }),
  );
  const writer = await SafetensorsWriter.create(file, infos, { [RECORD]: JSON.stringify(record) });
  try {
    for (const { name, values } of arrays) await writer.write(name, 0, bytesOf(values));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/**
 * The progress in a file; undefined where it is another work's, or is damaged: whoever asks then begins anew, and comes to the same
 * end. What a damaged file was is not guessed at. Throws what reading throws for a file that cannot be read.
 */
export async function loadProgress<Memory>({ file, work }: ProgressKey): Promise<Progress<Memory> | undefined> {
  const checkpoint = await openedOrDamaged(file);
  if (checkpoint === undefined) return undefined;
  try {
    const record = recordIn<Memory>(checkpoint.metadata[RECORD]);
    if (record?.work !== work) return undefined;
    const read = new Map<string, Float32Array>();
    for (const [name, { dtype }] of checkpoint.tensors) {
      if (dtype !== 'F32') return undefined;
      read.set(name, await readFloats(checkpoint, name));
    }
    const names = [...read.keys()].sort();
    if (digestOf(names.map((name) => bytesOf(read.get(name)!))) !== record.arrays) return undefined;
    const snapshots = record.snapshots.map((numbers, i): TrainState => {
      const own = names.filter((name) => name.startsWith(prefixOf(i)));
      const arrays = own.map((name): [string, StateArray] => {
        const { shape } = checkpoint.tensors.get(name)!;
        return [name.slice(prefixOf(i).length), { shape, values: read.get(name)! }];
      });
      return { ...numbers, arrays: new Map(arrays) };
    });
    return { snapshots, memory: record.memory };
  } finally {
    await checkpoint.close();
  }
}

async function openedOrDamaged(file: string) {
  try {
    return await openCheckpoint(file);
  } catch (error) {
    // A disk that lost its last writes may leave anything; only what verifies is gone on from.
    if (error instanceof BirdboneError && error.code === 'unreadable') return undefined;
    throw error;
  }
}

function recordIn<Memory>(text: string | undefined): ProgressRecord<Memory> | undefined {
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as ProgressRecord<Memory>;
    return typeof record === 'object' && record !== null && Array.isArray(record.snapshots) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The arrays of all snapshots by name order, as a file's tensors come. */
function namedArrays(snapshots: readonly TrainState[]): NamedArray[] {
  const all = snapshots.flatMap(({ arrays }, i) =>
    [...arrays].map(([name, array]): NamedArray => ({ name: `${prefixOf(i)}${name}`, ...array })),
  );
  return all.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function prefixOf(snapshot: number): string {
  return `${snapshot}:`;
}

function digestOf(all: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const bytes of all) hash.update(bytes);
  return hash.digest('hex');
}

function bytesOf(values: Float32Array): Uint8Array {
  return encodeFromF32(values, 'F32');
}
