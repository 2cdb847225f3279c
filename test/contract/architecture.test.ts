import { describe, expect, it } from 'vitest';
import { architectures, type Decoder, describeModel } from '../../src/model/index.js';
import { checkpointOf } from '../model/checkpoint-of.js';
import { TINY_LLAMA, type TinyConfig, tinyModel } from '../reference/tiny-model.js';

/** Every tensor name that a decoder mentions, with repetitions. */
function mentioned(decoder: Decoder): string[] {
  const ends = decoder.tied ? [decoder.embedding] : [decoder.embedding, decoder.head];
  const blocks = decoder.blocks.flatMap((block) => [
    ...block.vectors.map(({ tensor }) => tensor),
    ...block.linears.flatMap((linear) => (linear.bias === undefined ? [linear.weight] : [linear.weight, linear.bias])),
  ]);
  return [...ends, decoder.finalNorm, ...blocks];
}

describe.each(architectures.names)('architecture %s', async (name) => {
  const architecture = await architectures.load(name);
  const config: TinyConfig = {
    ...TINY_LLAMA,
    model_type: name,
    architectures: [architecture.className],
    attention_bias: architecture.keys.includes('attention_bias'),
    mlp_bias: architecture.keys.includes('mlp_bias'),
  };

  it('is registered under its model_type', () => {
    expect(architecture.modelType).toBe(name);
  });

  it.each([false, true])('claims every tensor of a model exactly once (tied head: %s)', async (tied) => {
    const { config: tiny, tensors } = tinyModel({ ...config, tie_word_embeddings: tied });
    const decoder = await describeModel(checkpointOf(tensors), tiny);
    expect(decoder.tied).toBe(tied);
    expect(mentioned(decoder).sort()).toEqual([...tensors.keys()].sort());
  });

  it('lists the linears of each block in order, with the shapes that are stored', async () => {
    const { config: tiny, tensors } = tinyModel(config);
    const decoder = await describeModel(checkpointOf(tensors), tiny);
    expect(decoder.blocks.map((block) => block.index)).toEqual([0, 1]);
    for (const { linears } of decoder.blocks) {
      expect(linears.map((linear) => linear.role)).toEqual(['q', 'k', 'v', 'o', 'gate', 'up', 'down']);
      for (const { weight, rows, columns } of linears) expect(tensors.get(weight)!.shape).toEqual([rows, columns]);
    }
  });

  it.each([...tinyModel(config).tensors.keys()])('names %s when it is missing', async (tensor) => {
    const { config: tiny, tensors } = tinyModel(config);
    const rest = new Map([...tensors].filter(([key]) => key !== tensor));
    await expect(describeModel(checkpointOf(rest), tiny)).rejects.toMatchObject({ code: 'unreadable', tensor });
  });

  it.each([...tinyModel(config).tensors.keys()])('names %s when its shape is another', async (tensor) => {
    const { config: tiny, tensors } = tinyModel(config);
    const { shape, values } = tensors.get(tensor)!;
    const wider = new Map([...tensors, [tensor, { shape: [shape[0]! + 1, ...shape.slice(1)], values }]]);
    const refused = describeModel(checkpointOf(wider), tiny);
    await expect(refused).rejects.toMatchObject({ code: 'unreadable', tensor });
    await expect(refused).rejects.toThrow(`config.json implies [${shape.join(', ')}]`);
  });

  it('names a tensor that nothing explains', async () => {
    const { config: tiny, tensors } = tinyModel(config);
    const more = new Map([...tensors, ['model.layers.0.adapter.weight', { shape: [1], values: [0] }]]);
    const refused = describeModel(checkpointOf(more), tiny);
    await expect(refused).rejects.toMatchObject({ code: 'unreadable', tensor: 'model.layers.0.adapter.weight' });
  });

  it('passes over the rotary buffers of old exporters', async () => {
    const { config: tiny, tensors } = tinyModel(config);
    const buffer = { shape: [4], values: [0, 0, 0, 0] };
    const names = ['model.layers.0.self_attn.rotary_emb.inv_freq', 'model.rotary_emb.inv_freq'];
    const more = new Map([...tensors, ...names.map((key) => [key, buffer] as const)]);
    const decoder = await describeModel(checkpointOf(more), tiny);
    expect(mentioned(decoder)).not.toContain(names[0]);
  });
});
