import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, openCheckpoint, overlay, readFloats, writeCheckpoint } from '../src/checkpoint/index.js';
import { ChunkCache, ObjectStore, openStoredLayer, type StoredLayer, StoredLayerWriter } from '../src/store/index.js';
import { encodeFromF32 } from '../src/tensor/index.js';

/** Sparsity after each wave of the series. */
export const TARGETS = Array.from({ length: 10 }, (_, wave) => (wave + 1) / 20);

/** A model, and what each wave of the series makes of it. */
export interface Series {
  /** Folders with the base and each state, in order. */
  readonly folders: readonly string[];
  readonly modelBytes: number;
  /** What birdbone keeps beside the base. */
  readonly storeBytes: number;
}

/**
 * Prunes the matrices of the blocks by magnitude, each to the same sparsity, in ten waves to 50 %: the store gets the layers, and
 * every state is written out as a model, for those that keep models whole.
 */
export async function makeSeries(base: Checkpoint, work: string): Promise<Series> {
  const store = new ObjectStore(path.join(work, 'objects'));
  const layers: StoredLayer[] = [];
  const folders = [await written(base, path.join(work, 'state-0'))];
  const names = [...base.tensors.values()].filter(isPruned).map(({ name }) => name);
  for (const [index, target] of TARGETS.entries()) {
    const checkpoint = overlay(base, layers);
    const plan = { masks: names.map((name) => ({ name, elements: elementsIn(base, name) })), values: [] };
    const writer = new StoredLayerWriter(store, { wave: index + 1, plan, before: { checkpoint, layers } });
    for (const name of names) {
      const bits = smallestRemoved(await readFloats(checkpoint, name), target);
      await writer.writeMask(name, bits);
    }
    const { id } = await writer.commit();
    layers.push(await openStoredLayer(store, id, new ChunkCache()));
    folders.push(await written(overlay(base, layers), path.join(work, `state-${index + 1}`)));
  }
  let storeBytes = 0;
  for await (const { bytes } of store.entries()) storeBytes += bytes;
  const modelBytes = [...base.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { folders, modelBytes, storeBytes };
}

/** The same model with all of its values as F16; closes the one it is made from. */
export async function asF16(source: Checkpoint, folder: string): Promise<Checkpoint> {
  const infos = [...source.tensors.values()].map((info) => {
    return { ...info, dtype: 'F16' as const, byteLength: elementsIn(source, info.name) * 2 };
  });
  const cast: Checkpoint = {
    ...source,
    tensors: new Map(infos.map((info) => [info.name, info])),
    async read(name, range) {
      const bytes = encodeFromF32(await readFloats(source, name), 'F16');
      return range === undefined ? bytes : bytes.slice(range.offset, range.offset + range.length);
    },
  };
  await written(cast, folder);
  await source.close();
  return openCheckpoint(folder);
}

/** Sixteen F16 matrices of 2048 × 2048, normally distributed with σ = 0.02 (Box and Muller 1958) from a fixed seed: 134 MB. */
export async function synthetic(folder: string): Promise<Checkpoint> {
  const elements = 2048 * 2048;
  const infos = Array.from({ length: 16 }, (_, index) => {
    const name = `blocks.${String(index).padStart(2, '0')}.weight`;
    return { name, dtype: 'F16' as const, shape: [2048, 2048], byteLength: elements * 2 };
  });
  let last: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  const made: Checkpoint = {
    path: folder,
    format: 'synthetic',
    tensors: new Map(infos.map((info) => [info.name, info])),
    aliases: new Map(),
    metadata: {},
    async read(name, range) {
      // A copy reads a matrix in pieces, one after the other.
      if (last?.name !== name) {
        last = {
          name,
          bytes: encodeFromF32(normal(elements, infos.findIndex((info) => info.name === name) + 1), 'F16'),
        };
      }
      const { bytes } = last;
      return bytes.slice(range?.offset, range && range.offset + range.length);
    },
    async close() {},
  };
  return openCheckpoint(await written(made, folder));
}

function normal(count: number, seed: number): Float32Array {
  let state = seed;
  const next = () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => 0.02 * Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()),
  );
}

async function written(checkpoint: Checkpoint, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeCheckpoint(checkpoint, folder);
  return folder;
}

function isPruned({ name, shape }: { readonly name: string; readonly shape: readonly number[] }): boolean {
  return shape.length === 2 && !/embed|lm_head/.test(name);
}

function elementsIn(checkpoint: Checkpoint, name: string): number {
  return checkpoint.tensors.get(name)!.shape.reduce((product, size) => product * size, 1);
}

/** Bits that keep all but this fraction, the smallest by magnitude; among equal ones the first go. */
function smallestRemoved(values: Float32Array, sparsity: number): Uint8Array {
  const magnitudes = values.map(Math.abs);
  const count = Math.round(sparsity * values.length);
  const threshold = magnitudes.toSorted()[count]!;
  let equal = count - magnitudes.reduce((below, value) => below + (value < threshold ? 1 : 0), 0);
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (const [index, value] of magnitudes.entries()) {
    const goes = value < threshold || (value === threshold && equal > 0);
    if (value === threshold && goes) equal -= 1;
    if (!goes) bits[index >>> 3]! |= 1 << (index & 7);
  }
  return bits;
}
