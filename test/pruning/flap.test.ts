import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats, writeCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { type EditContext, shedEdit } from '../../src/pruning/index.js';
import { cutModel } from '../../src/shedding/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, writeFixture } from '../fixtures/architectures/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { writeTokenizer } from '../fixtures/workplace.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { logitsOf, negativeLogLikelihood } from '../model/logits.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, type TinyConfig, tinyModel, writeTinyModel } from '../reference/tiny-model.js';
import { furthest } from '../shedding/shed-states.js';
import { randomWindows, shedOnce } from './shed-once.js';

let device: Device;
const opened: Model[] = [];
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(async () => {
  for (const { checkpoint } of opened) await checkpoint.close();
  await device.close();
});

async function open(folder: string): Promise<Model> {
  const model = await openModel(folder);
  opened.push(model);
  return model;
}

async function shed(model: Model, settings: Parameters<typeof shedEdit>[0], over: Partial<EditContext> = {}) {
  const { model: after, proposal } = await shedOnce(model, await shedEdit(settings), { device, ...over });
  return { model: after, marks: proposal.marks! };
}

/** What is published of a shed model, written and opened again. */
async function published(model: Model, marks: Marks, from: string): Promise<Model> {
  const folder = temporaryFolder();
  await writeCheckpoint(await cutModel(model, marks), folder, { carryFrom: from });
  return open(folder);
}

const text = (vocabulary: number) => randomWindows(2, 6, 24, vocabulary).map(({ ids }) => ids);
const tinyWith = (config: Partial<TinyConfig> = {}) => tinyModel({ ...TINY_LLAMA, ...config } as TinyConfig);

describe('a bias for what is shed (FLAP)', () => {
  it('stands for inputs that do not vary without any loss, and they are the first to go', async () => {
    const tiny = tinyWith({ mlp_bias: true });
    const constant = [3, 17, 42];
    for (let block = 0; block < 2; block += 1) {
      const values = (name: string) => tiny.tensors.get(`model.layers.${block}.mlp.${name}`)!.values as Float32Array;
      for (const channel of constant) {
        for (const part of ['gate', 'up']) {
          values(`${part}_proj.weight`).fill(0, channel * 32, (channel + 1) * 32);
          values(`${part}_proj.bias`)[channel] = 3;
        }
      }
    }
    const folder = writeTinyModel(tiny);
    const dense = await open(folder);
    const perChannel = 3 * 32 + 2;
    const block = 44 * perChannel + 32 + 3072 + 64;
    const { model, marks } = await shed(dense, { plates: 'ffn', sparsity: (3 * perChannel) / block, fold: 'flap' });
    for (const at of [0, 1]) expect(marks.indices('ffn-channel', at).map(({ start }) => start)).toEqual(constant);
    const [before, after] = [await logitsOf(dense, text(61), device), await logitsOf(model, text(61), device)];
    expect(furthest(after, before)).toBeLessThan(1e-4);
    const dropped = await shed(dense, { plates: 'ffn', sparsity: (3 * perChannel) / block, fold: 'none' });
    expect(furthest(await logitsOf(dropped.model, text(61), device), before)).toBeGreaterThan(0.01);
  });

  it('keeps the mean of what a linear gives, over the text that it was made from', async () => {
    const folder = writeTinyModel(tinyWith());
    const dense = await open(folder);
    const { model, marks } = await shed(dense, { plates: 'heads', sparsity: 0.2, fold: 'flap' });
    const bias = await readFloats(model.checkpoint, 'model.layers.0.self_attn.o_proj.bias');
    // What attention gives, in double precision, by the reference.
    const sums = new Float64Array(32);
    let tokens = 0;
    for (const { ids } of randomWindows(1)) {
      referenceLogits(tinyWith(), ids, (layer, input, vectors) => {
        if (layer !== 0 || input !== 'o') return;
        tokens += vectors.length;
        for (const vector of vectors) for (const [column, value] of vector.entries()) sums[column]! += value;
      });
    }
    const means = sums.map((sum) => sum / tokens);
    const weight = await readFloats(dense.checkpoint, 'model.layers.0.self_attn.o_proj.weight');
    const [gone] = marks.indices('kv-group', 0);
    // A group is two query heads of eight columns.
    const columns = Array.from({ length: 16 * gone!.count }, (_, i) => 16 * gone!.start + i);
    bias.forEach((value, row) => {
      const expected = columns.reduce((sum, column) => sum + weight[row * 32 + column]! * means[column]!, 0);
      expect(value).toBeCloseTo(expected, 4);
    });
  });

  it('adds up over waves, and is published with the zeros that the config implies', async () => {
    const folder = writeTinyModel(tinyWith());
    const dense = await open(folder);
    const settings = { plates: 'auto', sparsity: 0.4, fold: 'flap' } as const;
    const first = await shed(dense, settings, { target: 0.2 });
    const second = await shed(first.model, settings, { target: 0.4, marks: first.marks });
    const marks = first.marks.with(second.marks);
    expect(marks.size).toBeGreaterThan(first.marks.size);
    const cut = await published(second.model, marks, folder);
    expect(cut.decoder).toMatchObject({ architecture: 'llama', kvHeads: 1 });
    expect(
      furthest(await logitsOf(cut, text(61), device), await logitsOf(second.model, text(61), device)),
    ).toBeLessThan(1e-5);
    const names = [...cut.checkpoint.tensors.keys()].filter((name) => name.endsWith('.bias') && name.includes('.0.'));
    expect(names.map((name) => name.split('.').at(-2))).toEqual([
      'down_proj',
      'gate_proj',
      'up_proj',
      'k_proj',
      'o_proj',
      'q_proj',
      'v_proj',
    ]);
    for (const name of names) {
      const isZero = (await readFloats(cut.checkpoint, name)).every((value) => value === 0);
      expect(isZero, name).toBe(!/(down|o)_proj/.test(name));
    }
  });

  it('of channels alone gives attention none', async () => {
    const folder = writeTinyModel(tinyWith());
    const { model, marks } = await shed(await open(folder), { plates: 'ffn', sparsity: 0.2, fold: 'flap' });
    const cut = await published(model, marks, folder);
    const biases = [...cut.checkpoint.tensors.keys()].filter((name) => name.endsWith('.bias'));
    expect(biases.every((name) => name.includes('.mlp.'))).toBe(true);
    expect(biases).toHaveLength(6);
  });

  it.skipIf(llamaMissing !== undefined)(
    `is computed by llama.cpp${llamaMissing === undefined ? '' : ` (${llamaMissing})`}`,
    async () => {
      for (const shedding of ['uniform', 'targeted'] as const) {
        const folder = writeTinyModel(tinyWith({ intermediate_size: 128, hidden_size: 64 }));
        writeTokenizer(folder);
        const settings = { plates: 'ffn', sparsity: 0.3, fold: 'flap', shedding, target: 'llama.cpp' } as const;
        const { model, marks } = await shed(await open(folder), settings);
        const cut = await published(model, marks, folder);
        const file = path.join(temporaryFolder(), 'flap.gguf');
        await convert({ model: cut.checkpoint.path, out: file });
        const [ids] = text(61);
        const [logits] = await logitsOf(cut, [ids!], device);
        const ours = Array.from(ids!.subarray(1), (id, t) => negativeLogLikelihood(logits!, t, 61, id));
        const theirs = await withLlama(file, (llama) => llama.negativeLogLikelihoods([...ids!]));
        const worst = theirs.reduce((most, value, t) => Math.max(most, Math.abs(value - ours[t]!)), 0);
        expect(worst).toBeLessThan(0.02);
      }
    },
  );
});

describe('what has no place for a bias', () => {
  const check = async (modelType: string, settings: object, config: object = {}) => {
    const model = await open(writeFixture(fixtureModel(architectureFixtures[modelType]!, { ...config })));
    return {
      model,
      edit: await shedEdit({ sparsity: 0.2, fold: 'flap', ...settings } as Parameters<typeof shedEdit>[0]),
    };
  };

  it.each([
    ['qwen2', 'heads', 'gives the o of a block a bias, and no config says that of a qwen2 model'],
    ['qwen3', 'ffn', 'gives the down of a block a bias, and no config says that of a qwen3 model'],
    ['gemma2', 'ffn', 'no config says that of a gemma2 model'],
    ['phi3', 'ffn', 'no config says that of a phi3 model'],
    ['mistral', 'ffn', 'this Mistral slides a window of 7 over a context of 256'],
  ])('is refused before any work: %s', async (modelType, plates, says) => {
    const { model, edit } = await check(modelType, { plates });
    await expect(edit.check!(model)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(says),
    });
  });

  it.each([
    ['mistral', 'auto', 'llama', { sliding_window: null }],
    ['qwen3', 'heads', 'qwen3', {}],
    ['gpt2', 'ffn', 'gpt2', {}],
    ['gpt_neox', 'ffn', 'gpt_neox', {}],
    ['llama', 'auto', 'llama', {}],
  ])('is none of these: %s without %s is a %s that computes the same', async (modelType, plates, becomes, config) => {
    const { model: dense, edit } = await check(modelType, { plates }, config);
    await edit.check!(dense);
    const calibration = randomWindows(1, 8, 24, 60);
    const { model, proposal } = await shedOnce(dense, edit, { device, calibration });
    const cut = await published(model, proposal.marks!, dense.checkpoint.path);
    expect(cut.decoder.architecture).toBe(becomes);
    const [ours, theirs] = [await logitsOf(cut, text(60), device), await logitsOf(model, text(60), device)];
    expect(furthest(ours, theirs)).toBeLessThan(1e-4);
  });

  it('leaves a Llama of a wave that shed nothing loadable', async () => {
    const folder = writeTinyModel(tinyWith());
    const dense = await open(folder);
    const { model, marks } = await shed(dense, { plates: 'ffn', sparsity: 0.2, fold: 'flap' }, { target: 0.0001 });
    expect(marks.isEmpty).toBe(true);
    const cut = await published(model, Marks.none, folder);
    expect(furthest(await logitsOf(cut, text(61), device), await logitsOf(dense, text(61), device))).toBe(0);
  });
});
