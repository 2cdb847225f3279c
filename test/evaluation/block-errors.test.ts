import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryLayer, overlay } from '../../src/checkpoint/index.js';
import { blockErrors, findNotFinite } from '../../src/evaluation/index.js';
import { type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { type ReferenceModel, referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, type TinyModel, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

const BLOCKS = 3;
const config = { ...TINY_LLAMA, num_hidden_layers: BLOCKS };
const reference = tinyModel(config);
const folder = writeTinyModel(reference);
const random = uniform(5);
/** Of different lengths, so that padding has to be left out. */
const passages = [9, 3, 14].map((length) => ({ ids: Int32Array.from({ length }, () => Math.floor(61 * random())) }));

let device: Device;
let model: Model;

beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(folder);
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
  rmSync(folder, { recursive: true });
});

/** `values` of a tensor changed, as a model of its own in float64. */
function changed(name: string, change: (values: Float32Array) => void): ReferenceModel {
  const { shape, values } = reference.tensor(name)!;
  const copy = Float32Array.from(values);
  change(copy);
  return { ...reference, tensor: (wanted) => (wanted === name ? { shape, values: copy } : reference.tensor(wanted)) };
}

/** Hidden states after each block: the embedding and what each sub-block has added to it, in float64. */
function hiddenStates(of: ReferenceModel, ids: Int32Array): Float64Array[][] {
  const after = Array.from({ length: BLOCKS }, () => Array.from(ids, () => new Float64Array(32)));
  const add = (name: string, layer: number, inputs: readonly Float64Array[]) => {
    const { shape, values } = of.tensor(`model.layers.${layer}.${name}.weight`)!;
    const [rows, columns] = shape as [number, number];
    for (const [token, input] of inputs.entries()) {
      for (let row = 0; row < rows; row += 1) {
        let sum = 0;
        for (let column = 0; column < columns; column += 1) sum += values[row * columns + column]! * input[column]!;
        for (let later = layer; later < BLOCKS; later += 1) after[later]![token]![row]! += sum;
      }
    }
  };
  const embedding = of.tensor('model.embed_tokens.weight')!.values;
  for (const states of after) {
    for (const [token, id] of ids.entries())
      for (let j = 0; j < 32; j += 1) states[token]![j] = embedding[id * 32 + j]!;
  }
  referenceLogits(of, ids, (layer, input, vectors) => {
    if (input === 'o') add('self_attn.o_proj', layer, vectors);
    if (input === 'down') add('mlp.down_proj', layer, vectors);
  });
  return after;
}

function expectedErrors(now: ReferenceModel): number[] {
  const [difference, size] = [new Float64Array(BLOCKS), new Float64Array(BLOCKS)];
  for (const { ids } of passages) {
    const [before, after] = [hiddenStates(reference, ids), hiddenStates(now, ids)];
    for (let block = 0; block < BLOCKS; block += 1) {
      for (const [token, vector] of before[block]!.entries()) {
        for (const [j, value] of vector.entries()) {
          difference[block]! += (after[block]![token]![j]! - value) ** 2;
          size[block]! += value ** 2;
        }
      }
    }
  }
  return [...difference].map((sum, block) => Math.sqrt(sum / size[block]!));
}

/** The model without some elements of a tensor. */
function without(name: string, removed: readonly number[]): Model {
  const elements = model.checkpoint.tensors.get(name)!.shape.reduce((product, size) => product * size, 1);
  const bits = new Uint8Array(Math.ceil(elements / 8)).fill(0xff);
  for (const element of removed) bits[Math.floor(element / 8)]! &= ~(1 << (element % 8));
  return withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map([[name, bits]]))]));
}

describe('blockErrors', () => {
  it('are those of a float64 forward pass, and zero before the first change', async () => {
    const name = 'model.layers.1.mlp.down_proj.weight';
    const removed = Array.from({ length: 300 }, (_, index) => 3 * index);
    const memory = device.memory();
    const errors = await blockErrors(model, without(name, removed), passages, { device });
    expect(device.memory()).toEqual(memory);
    const expected = expectedErrors(
      changed(name, (values) => {
        for (const element of removed) values[element] = 0;
      }),
    );
    expect(expected[1]).toBeGreaterThan(0.01);
    expect(errors[0]).toBe(0);
    for (const [block, error] of errors.entries()) expect(error).toBeCloseTo(expected[block]!, 5);
  });

  it('are zero for the same model, and the same when hidden states go to a file', async () => {
    expect(await blockErrors(model, model, passages, { device })).toEqual([0, 0, 0]);
    const now = without('model.layers.0.self_attn.o_proj.weight', [1, 2, 3]);
    const spillFolder = mkdtempSync(path.join(tmpdir(), 'birdbone-spill-'));
    const spilled = await blockErrors(model, now, passages, { device, memoryBytes: 0, spillFolder });
    expect(spilled).toEqual(await blockErrors(model, now, passages, { device }));
    expect(existsSync(spillFolder) && readdirSync(spillFolder)).toEqual([]);
    rmSync(spillFolder, { recursive: true });
  });

  it('say where they are no numbers, and stop when they are told to', async () => {
    const broken = await openBroken((now) => now.set('model.layers.1.mlp.up_proj.weight', Number.NaN));
    const errors = await blockErrors(model, broken, passages, { device });
    await broken.checkpoint.close();
    expect(errors).toEqual([0, Number.NaN, Number.NaN]);
    const signal = AbortSignal.abort();
    await expect(blockErrors(model, model, passages, { device, signal })).rejects.toMatchObject({
      code: 'interrupted',
    });
  });
});

/** A model like the other with one value of some tensors changed. */
async function openBroken(change: (values: { set(name: string, value: number): void }) => void): Promise<Model> {
  const tensors: TinyModel['tensors'] = new Map(
    [...reference.tensors].map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values) }]),
  );
  change({
    set: (name, value) => {
      (tensors.get(name)!.values as Float32Array)[7] = value;
    },
  });
  const broken = writeTinyModel({ config, tensors });
  const opened = await openModel(broken);
  const close = async () => {
    await opened.checkpoint.close();
    rmSync(broken, { recursive: true });
  };
  return withCheckpoint(opened, { ...opened.checkpoint, close });
}

describe('findNotFinite', () => {
  const find = async (name: string, value: number) => {
    const broken = await openBroken((now) => now.set(name, value));
    try {
      return await findNotFinite(broken, passages, { device, memoryBytes: 1e9, spillFolder: tmpdir() });
    } finally {
      await broken.checkpoint.close();
    }
  };

  it.each([
    ['model.layers.0.self_attn.q_proj.weight', 0],
    ['model.layers.1.mlp.up_proj.weight', 1],
    ['model.layers.2.post_attention_layernorm.weight', 2],
    ['model.layers.2.mlp.down_proj.weight', 2],
  ])('names the tensor that holds the value: %s', async (tensor, block) => {
    expect(await find(tensor, Number.NaN)).toEqual({ block, tensor, cause: 'value' });
    expect(await find(tensor, Number.POSITIVE_INFINITY)).toEqual({ block, tensor, cause: 'value' });
  });

  it('names the tensor whose product is too large for a float32', async () => {
    const down = 'model.layers.1.mlp.down_proj.weight';
    expect(await find(down, 3e38)).toEqual({ block: 1, tensor: down, cause: 'overflow' });
  });

  it('knows what lies before and behind the blocks', async () => {
    const everyToken = Int32Array.from({ length: 61 }, (_, id) => id);
    const inEmbedding = await openBroken((now) => now.set('model.embed_tokens.weight', Number.NaN));
    const options = { device, memoryBytes: 1e9, spillFolder: tmpdir() };
    const fault = { tensor: 'model.embed_tokens.weight', cause: 'value' };
    expect(await findNotFinite(inEmbedding, [{ ids: everyToken }], options)).toEqual(fault);
    await inEmbedding.checkpoint.close();
    expect(await find('model.norm.weight', Number.NaN)).toEqual({ tensor: 'model.norm.weight', cause: 'value' });
    expect(await find('lm_head.weight', Number.NaN)).toEqual({ tensor: 'lm_head.weight', cause: 'value' });
  });
});
