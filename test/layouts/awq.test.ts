import { describe, expect, it } from 'vitest';
import { decodedView } from '../../src/coding/index.js';
import { layouts, readQuantized } from '../../src/layouts/index.js';
import { schemeOf } from '../../src/quantization/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import { codedModel } from './coded-model.js';
import { expectBytes } from './expect-bytes.js';
import { awqWords, bytesOfWords, flipped, rowsOf } from './packing-oracle.js';

const layout = await layouts.load('awq');

/** Inputs that are no multiple of 8: 20 and 36. Outputs are multiples of 8 but for those of down_proj and o_proj, which stay dense. */
const SIZES = {
  hidden_size: 20,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  head_dim: 4,
  intermediate_size: 40,
} as const;
const WHOLE = {
  hidden_size: 40,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 12,
  intermediate_size: 72,
} as const;

describe('AWQ GEMM', () => {
  it.each([
    [false, 4, SIZES, (weight: string) => /(?:[qkv]|gate|up)_proj/.test(weight)],
    [true, 10, SIZES, (weight: string) => /(?:[qkv]|gate|up)_proj/.test(weight)],
    [false, 8, WHOLE, (weight: string) => weight.includes('_proj')],
    [true, 4, WHOLE, (weight: string) => weight.includes('_proj')],
  ] as const)('packs as AutoAWQ does, asymmetric: %s, groups of %i', async (asymmetric, groupSize, sizes, isCoded) => {
    const scheme = schemeOf('int4', { asymmetric, groupSize, scaleDtype: 'F16' });
    // q has heads · head_dim = 16 or 48 outputs.
    const model = await codedModel({
      schemeOf: (weight) => (isCoded(weight) ? scheme : undefined),
      sizes,
      seed: groupSize,
    });
    const checkpoint = await layout.write(model.view, model, model.config);
    for (const [weight, { rows, columns, codes, scales }] of model.matrices) {
      const module = weight.slice(0, -'.weight'.length);
      const groups = scales.shape[1];
      expect(checkpoint.tensors.get(`${module}.qweight`)).toMatchObject({ dtype: 'I32', shape: [columns, rows / 8] });
      const perInput = flipped(rowsOf(codes, rows)).map(awqWords);
      expectBytes(await checkpoint.read(`${module}.qweight`), bytesOfWords(perInput));
      const zeros = asymmetric ? rowsOf(scales.zeroPoints!, rows) : rowsOf(new Array(rows * groups).fill(8), rows);
      expect(checkpoint.tensors.get(`${module}.qzeros`)).toMatchObject({ dtype: 'I32', shape: [groups, rows / 8] });
      expectBytes(await checkpoint.read(`${module}.qzeros`), bytesOfWords(flipped(zeros).map(awqWords)));
      expect(checkpoint.tensors.get(`${module}.scales`)).toMatchObject({ dtype: 'F16', shape: [groups, rows] });
      const stored = decodeToF32(await checkpoint.read(`${module}.scales`), 'F16');
      expect(rowsOf(stored, groups)).toEqual(flipped(rowsOf(scales.values, rows)));
      expect(checkpoint.tensors.has(weight)).toBe(false);
    }
    const config = JSON.parse(checkpoint.companions!.get('config.json')!);
    const back = await decodedView(await readQuantized(checkpoint, config, 'config.json'));
    expect([...back.tensors.keys()]).toEqual([...model.view.tensors.keys()]);
    for (const { name } of model.view.tensors.values()) {
      expectBytes(await back.read(name), await model.view.read(name), name);
    }
  });

  it('reads any range of a tensor that is made of others', async () => {
    const scheme = schemeOf('int4', { groupSize: 8, scaleDtype: 'F16' });
    const model = await codedModel({
      schemeOf: (weight) => (weight.includes('_proj') ? scheme : undefined),
      sizes: WHOLE,
    });
    const checkpoint = await layout.write(model.view, model, model.config);
    const name = 'model.layers.1.mlp.down_proj.qweight';
    const whole = await checkpoint.read(name);
    for (const [offset, length] of [
      [0, 3],
      [9, 0],
      [31, 500],
      [whole.length - 1, 1],
    ] as const) {
      expectBytes(await checkpoint.read(name, { offset, length }), whole.slice(offset, offset + length));
    }
  });

  it('says in config.json what loaders read', async () => {
    const scheme = schemeOf('int4', { groupSize: 8, scaleDtype: 'F16' });
    const configOf = async (isCoded: RegExp) => {
      const model = await codedModel({
        schemeOf: (weight) => (isCoded.test(weight) ? scheme : undefined),
        sizes: WHOLE,
      });
      const checkpoint = await layout.write(model.view, model, model.config);
      return JSON.parse(checkpoint.companions!.get('config.json')!).quantization_config;
    };
    const expected = { quant_method: 'awq', zero_point: true, group_size: 8, bits: 4, version: 'gemm' };
    expect(await configOf(/_proj/)).toEqual({ ...expected, modules_to_not_convert: null });
    expect(await configOf(/(?:[qkvo]|gate|up)_proj/)).toEqual({
      ...expected,
      modules_to_not_convert: ['lm_head', 'model.layers.0.mlp.down_proj', 'model.layers.1.mlp.down_proj'],
    });
  });
});
