import { type MemoryValues, memoryLayer, overlay, readFloats } from '../src/checkpoint/index.js';
import { type Model, withCheckpoint } from '../src/model/index.js';
import { encodeFromF32 } from '../src/tensor/index.js';
import { LINEARS, type ReferenceModel } from '../test/reference/load.js';

/**
 * Channels and factor of planted outliers: large models have a few channels that are about a hundred times the others (Dettmers et
 * al. 2022, Xiao et al. 2023); the factor is a power of two, so that float32 loses nothing.
 */
const EVERY = 48;
const FACTOR = 64;

const isPlanted = (channel: number) => channel % EVERY === EVERY / 2;
const READERS = ['q', 'k', 'v', 'gate', 'up'] as const;

/** Both norms' outputs are FACTOR times as large in some channels, and what reads them is as much smaller: the same function. */
export async function plantOutliers(model: Model): Promise<Model> {
  const values = new Map<string, MemoryValues>();
  const change = async (name: string, factor: (i: number) => number) => {
    const info = model.checkpoint.tensors.get(name)!;
    const changed = (await readFloats(model.checkpoint, name)).map((value, i) => value * factor(i));
    values.set(name, { info, bytes: encodeFromF32(changed, info.dtype) });
  };
  for (const { linears, vectors } of model.decoder.blocks) {
    for (const { tensor, kind } of vectors) {
      if (kind === 'attention-norm' || kind === 'ffn-norm') await change(tensor, (j) => (isPlanted(j) ? FACTOR : 1));
    }
    for (const { role, weight, columns } of linears) {
      if ((READERS as readonly string[]).includes(role)) {
        await change(weight, (i) => (isPlanted(i % columns) ? 1 / FACTOR : 1));
      }
    }
  }
  return withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(), values)]));
}

/** The same in the reference's model, in place. */
export function plantReferenceOutliers(model: ReferenceModel): void {
  for (const { attentionNorm, ffnNorm, linears } of model.blocks) {
    for (const norm of [attentionNorm, ffnNorm]) {
      for (let j = 0; j < norm.length; j++) if (isPlanted(j)) norm[j]! *= FACTOR;
    }
    for (const name of LINEARS) {
      if (!(READERS as readonly string[]).includes(name)) continue;
      const { values, columns } = linears[name];
      for (let i = 0; i < values.length; i++) if (isPlanted(i % columns)) values[i]! /= FACTOR;
    }
  }
}
