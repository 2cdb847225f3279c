import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadBlock, type Model, openPrunable } from '../../src/model/index.js';
import type { Device } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  type FixtureModel,
  fixtureModel,
  writeFixture,
} from '../fixtures/architectures/index.js';

let model: Model | undefined;
afterEach(() => model?.checkpoint.close());

async function opened(folder: string): Promise<Model> {
  model = await openPrunable(folder);
  return model;
}

/** A checkpoint of these shapes with a config.json of this model_type. */
function folderOf(shapes: Readonly<Record<string, readonly number[]>>, config: Readonly<Record<string, unknown>>) {
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const length = shape.reduce((product, side) => product * side, 1);
    return [name, { shape, values: new Float32Array(length).fill(1) }] as const;
  });
  return writeFixture({ config, tensors: new Map(tensors) } as Pick<FixtureModel, 'config' | 'tensors'>);
}

const SHAPES = {
  'encoder.layer.10.out.weight': [4, 6],
  'encoder.layer.2.attention.query.weight': [6, 4],
  'encoder.layer.2.attention.query.bias': [6],
  'encoder.layer.2.out.weight': [4, 6],
  'embeddings.word_embeddings.weight': [9, 4],
  'transformer.wte.weight': [9, 4],
  'lm_head.weight': [9, 4],
  'pooler.dense.weight': [4, 4],
  'conv.weight': [4, 4, 3, 3],
  'row.weight': [1, 8],
};

describe('openPrunable', () => {
  it('lists the matrices of an unknown architecture by the first number in their names, in natural order', async () => {
    const { decoder } = await opened(folderOf(SHAPES, { model_type: 'bert', hidden_size: 4 }));
    expect(decoder.blocks.map(({ linears }) => linears.map(({ weight }) => weight))).toEqual([
      ['encoder.layer.2.attention.query.weight', 'encoder.layer.2.out.weight'],
      ['encoder.layer.10.out.weight'],
      ['pooler.dense.weight'],
    ]);
    expect(decoder.blocks.map(({ index }) => index)).toEqual([0, 1, 2]);
    const roles = decoder.blocks.flatMap(({ linears }) => linears.map(({ role }) => role));
    expect(new Set(roles)).toEqual(new Set(['weight']));
    expect(decoder.blocks[0]!.linears[0]).toMatchObject({ rows: 6, columns: 4 });
    expect(decoder).toMatchObject({ architecture: 'unknown', refusal: expect.stringContaining('"bert" model') });
  });

  it('says so of a checkpoint without config.json, or without model_type', async () => {
    const none = folderOf(SHAPES, { hidden_size: 4 });
    expect((await opened(none)).decoder.refusal).toContain('names no model_type');
    await model?.checkpoint.close();
    const { checkpoint } = await opened(path.join(none, 'model.safetensors'));
    expect(checkpoint.tensors.size).toBe(Object.keys(SHAPES).length);
  });

  it('opens what is known as openModel does, its errors too', async () => {
    const fixture = fixtureModel(architectureFixtures['qwen3']!);
    const folder = writeFixture(fixture);
    expect((await opened(folder)).decoder).toMatchObject({ architecture: 'qwen3', hidden: 40 });
    expect('refusal' in model!.decoder).toBe(false);
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...fixture.config, hidden_size: 41 }));
    await expect(openPrunable(folder)).rejects.toMatchObject({ code: 'unreadable' });
  });

  it.each([
    ['quantized weights, whose scales are matrices too', SHAPES, { quantization_config: { quant_method: 'gptq' } }],
    ['a checkpoint without a matrix', { 'conv.weight': [2, 2, 3, 3], 'lm_head.weight': [4, 4] }, {}],
  ])('refuses %s', async (_, shapes, extra) => {
    const folder = folderOf(shapes, { model_type: 'bert', ...extra });
    await expect(openPrunable(folder)).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('refuses a config.json that is none', async () => {
    const folder = folderOf(SHAPES, {});
    writeFileSync(path.join(folder, 'config.json'), '{');
    await expect(openPrunable(folder)).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('gives nothing that could be run', async () => {
    await opened(folderOf(SHAPES, { model_type: 'bert' }));
    await expect(loadBlock(model!, 0, {} as Device)).rejects.toThrow('cannot be run');
  });
});
