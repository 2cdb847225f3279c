import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/index.js';
import { Marks, plateGraph } from '../../src/plates/index.js';
import { cutModel } from '../../src/shedding/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { logitsOf } from '../model/logits.js';
import { TINY_LLAMA, type TinyConfig, tinyModel, writeTinyModel } from '../reference/tiny-model.js';
import { furthest, writeCut, zeroed } from './shed-states.js';

const CONFIG: TinyConfig = { ...TINY_LLAMA, num_hidden_layers: 3, num_attention_heads: 8, num_key_value_heads: 4 };
const IDS = [Int32Array.from([3, 14, 15, 9, 26, 53, 58, 9, 7, 9]), Int32Array.from([60, 0, 1, 1, 2, 3, 5])];

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** Ids of one kind: the same indices in every block. */
const everywhere = (kind: string, indices: readonly number[], blocks = 3) =>
  Array.from({ length: blocks }, (_, block) => indices.map((index) => `${kind}:${block}:${index}`)).flat();

const UNIFORM: Readonly<Record<string, { ids: readonly string[]; config: Readonly<Record<string, unknown>> }>> = {
  'channels of every network': { ids: everywhere('ffn-channel', [0, 1, 7, 43]), config: { intermediate_size: 40 } },
  'KV groups with their query heads': {
    ids: everywhere('kv-group', [2]),
    config: { num_attention_heads: 6, num_key_value_heads: 3, head_dim: 4 },
  },
  'a block': { ids: ['block:1'], config: { num_hidden_layers: 2 } },
  'the first block, half by half': { ids: ['attention:0', 'ffn:0'], config: { num_hidden_layers: 2 } },
  'hidden dimensions': {
    ids: ['hidden:0', 'hidden:5', 'hidden:6', 'hidden:31'],
    config: { hidden_size: 28, head_dim: 4, rms_norm_eps: (1e-5 * 32) / 28 },
  },
  'some of everything': {
    ids: [...everywhere('ffn-channel', [3, 4, 5]), ...everywhere('kv-group', [0, 3]), 'block:2', 'hidden:17'],
    config: {
      intermediate_size: 41,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 4,
      num_hidden_layers: 2,
      hidden_size: 31,
    },
  },
};

describe.each([
  ['untied', CONFIG],
  ['tied, with biases', { ...CONFIG, tie_word_embeddings: true, attention_bias: true, mlp_bias: true }],
  ['heads of their own size', { ...CONFIG, head_dim: 6 }],
  ['mistral', { ...CONFIG, model_type: 'mistral', architectures: ['MistralForCausalLM'], sliding_window: 4 }],
] as const)('a cut model (%s)', (_, config) => {
  it.each(Object.keys(UNIFORM))('without %s computes what the model does with zeros there', async (name) => {
    const { mlp_bias, attention_bias, ...rest } = config as TinyConfig;
    const tiny = tinyModel(config.model_type === 'mistral' ? rest : config);
    const model = await openModel(writeTinyModel(tiny));
    const { ids, config: expected } = UNIFORM[name]!;
    const graph = plateGraph(model.decoder);
    const marks = Marks.of(ids.map((id) => graph.plate(id)));
    const folder = await writeCut(model, marks, mkdtempSync(path.join(tmpdir(), 'birdbone-cut-')));
    const cut = await openModel(folder);
    const own = config.head_dim === undefined ? {} : { head_dim: 6 };
    expect(JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'))).toEqual({
      ...tiny.config,
      ...expected,
      ...own,
      ...(expected['hidden_size'] === 31 && { rms_norm_eps: (1e-5 * 32) / 31 }),
    });
    const full = await logitsOf(zeroed(model, marks), IDS, device);
    expect(furthest(await logitsOf(cut, IDS, device), full)).toBeLessThan(1e-5);
    await cut.checkpoint.close();
    await model.checkpoint.close();
  });
});

describe('what no config can say', () => {
  const cut = async (ids: readonly string[], config: TinyConfig = CONFIG) => {
    const model = await openModel(writeTinyModel(tinyModel(config)));
    const graph = plateGraph(model.decoder);
    return cutModel(model, Marks.of(ids.map((id) => graph.plate(id)))).finally(() => model.checkpoint.close());
  };

  it('is refused: nothing left', async () => {
    await expect(cut(['block:0', 'block:1', 'block:2'])).rejects.toThrow('every block');
  });

  it('is refused: a bias that stays where all else is gone', async () => {
    const config = { ...CONFIG, attention_bias: true };
    await expect(cut(everywhere('kv-group', [0, 1, 2, 3], 1), config)).rejects.toThrow(
      'Nothing is left of attention:0 but model.layers.0.self_attn.o_proj.bias',
    );
  });
});
