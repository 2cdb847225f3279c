import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/index.js';
import { decodedView } from '../../src/coding/index.js';
import { layouts, readQuantized } from '../../src/layouts/index.js';
import { type Scheme, schemeOf } from '../../src/quantization/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import { type CodedModel, codedModel, ROUND_SIZES } from './coded-model.js';
import { expectBytes } from './expect-bytes.js';
import { bytesOfWords, denseWords, flipped, rowsOf } from './packing-oracle.js';

const layout = await layouts.load('compressed-tensors');
const Q = 'model.layers.0.self_attn.q_proj';

/** Widths that nothing divides: 37 codes of 3 bits end within a byte and within a word. */
const ODD_SIZES = {
  hidden_size: 44,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 37,
  num_hidden_layers: 1,
} as const;

async function written(model: CodedModel) {
  const checkpoint = await layout.write(model.view, model, model.config);
  const config = JSON.parse(checkpoint.companions!.get('config.json')!);
  return { checkpoint, config };
}

async function expectSameValues(model: CodedModel, checkpoint: Checkpoint, config: never): Promise<void> {
  const back = await decodedView(await readQuantized(checkpoint, config, 'config.json'));
  expect([...back.tensors.keys()]).toEqual([...model.view.tensors.keys()]);
  expect(back.coded).toEqual(model.view.coded);
  for (const { name, dtype, shape } of model.view.tensors.values()) {
    expect(back.tensors.get(name)).toMatchObject({ dtype, shape });
    expectBytes(await back.read(name), await model.view.read(name), name);
  }
}

const allOf = (scheme: Scheme) => (weight: string) => (weight.includes('lm_head') ? undefined : scheme);

describe('pack-quantized', () => {
  const cases = [2, 3, 4, 6, 8].flatMap((bits) =>
    [false, true].flatMap((asymmetric) =>
      [11, 'channel' as const].map((groupSize) => ({ bits, asymmetric, groupSize })),
    ),
  );

  it.each(cases)(
    'packs $bits bits, asymmetric: $asymmetric, groups of $groupSize, as the layout has it',
    async (one) => {
      const { bits, asymmetric, groupSize } = one;
      const scheme = schemeOf(`int${bits}`, { asymmetric, groupSize, scaleDtype: 'BF16' });
      // Groups of 11 divide 44 inputs; 37 inputs have one scale a row.
      const narrow = schemeOf(`int${bits}`, { asymmetric, groupSize: 'channel', scaleDtype: 'BF16' });
      const schemeFor = (weight: string) => (weight.includes('down_proj') ? narrow : allOf(scheme)(weight));
      const model = await codedModel({ schemeOf: schemeFor, sizes: ODD_SIZES, seed: bits });
      const { checkpoint, config } = await written(model);
      for (const [weight, { rows, columns, codes, scales }] of model.matrices) {
        const module = weight.slice(0, -'.weight'.length);
        const info = checkpoint.tensors.get(`${module}.weight_packed`)!;
        expect(info).toMatchObject({ dtype: 'I32', shape: [rows, Math.ceil((columns * bits) / 32)] });
        expectBytes(await checkpoint.read(info.name), bytesOfWords(denseWords(rowsOf(codes, rows), bits)));
        const scale = checkpoint.tensors.get(`${module}.weight_scale`)!;
        expect(scale).toMatchObject({ dtype: 'BF16', shape: scales.shape });
        expect(decodeToF32(await checkpoint.read(scale.name), 'BF16')).toEqual(scales.values);
        expect(checkpoint.tensors.get(`${module}.weight_shape`)).toMatchObject({ dtype: 'I64', shape: [2] });
        const shape = await checkpoint.read(`${module}.weight_shape`);
        expect([...new BigInt64Array(shape.slice().buffer)]).toEqual([BigInt(rows), BigInt(columns)]);
        expect(checkpoint.tensors.has(`${module}.weight`)).toBe(false);
        const zero = checkpoint.tensors.get(`${module}.weight_zero_point`);
        if (!asymmetric) {
          expect(zero).toBeUndefined();
          continue;
        }
        const groups = scales.shape[1];
        expect(zero).toMatchObject({ dtype: 'I32', shape: [Math.ceil((rows * bits) / 32), groups] });
        const expected = flipped(denseWords(flipped(rowsOf(scales.zeroPoints!, rows)), bits));
        expectBytes(await checkpoint.read(zero!.name), bytesOfWords(expected));
      }
      await expectSameValues(model, checkpoint, config as never);
    },
  );

  it('says W4A16 in config.json as compressed-tensors does', async () => {
    const model = await codedModel({
      schemeOf: allOf(schemeOf('int4', { groupSize: 32, scaleDtype: 'BF16' })),
      sizes: ROUND_SIZES,
    });
    const { config, checkpoint } = await written(model);
    expect(config.quantization_config).toEqual({
      quant_method: 'compressed-tensors',
      format: 'pack-quantized',
      quantization_status: 'compressed',
      global_compression_ratio: null,
      kv_cache_scheme: null,
      ignore: ['lm_head'],
      config_groups: {
        group_0: {
          targets: ['Linear'],
          format: 'pack-quantized',
          input_activations: null,
          output_activations: null,
          weights: {
            num_bits: 4,
            type: 'int',
            symmetric: true,
            strategy: 'group',
            group_size: 32,
            dynamic: false,
            actorder: null,
            block_structure: null,
            observer: 'minmax',
            observer_kwargs: {},
          },
        },
      },
    });
    expect({ ...config, quantization_config: undefined }).toEqual({ ...model.config, quantization_config: undefined });
    expect(checkpoint.metadata['format']).toBe('pt');
    expect(checkpoint.notices).toEqual([]);
  });

  it('reads any range of a tensor that is computed', async () => {
    const model = await codedModel({ schemeOf: allOf(schemeOf('int3', { groupSize: 'channel' })), sizes: ODD_SIZES });
    const { checkpoint } = await written(model);
    const whole = await checkpoint.read(`${Q}.weight_packed`);
    for (const [offset, length] of [
      [0, 1],
      [5, 0],
      [17, 301],
      [whole.length - 3, 3],
    ] as const) {
      expect(await checkpoint.read(`${Q}.weight_packed`, { offset, length })).toEqual(
        whole.subarray(offset, offset + length),
      );
    }
    await expect(checkpoint.read(`${Q}.weight_packed`, { offset: whole.length, length: 1 })).rejects.toThrow(
      RangeError,
    );
  });
});

describe('int-quantized and float-quantized', () => {
  it('writes W8A8 as int8 with one scale a row and dynamic tokens', async () => {
    const model = await codedModel({ schemeOf: allOf(schemeOf('w8a8')), sizes: ODD_SIZES });
    const { checkpoint, config } = await written(model);
    const { codes, rows, columns } = model.matrices.get(`${Q}.weight`)!;
    expect(checkpoint.tensors.get(`${Q}.weight`)).toMatchObject({ dtype: 'I8', shape: [rows, columns] });
    const signed = new Int8Array((await checkpoint.read(`${Q}.weight`)).slice().buffer);
    expect([...signed]).toEqual([...codes].map((code) => code - 128));
    expect(checkpoint.tensors.get(`${Q}.weight_scale`)).toMatchObject({ shape: [rows, 1] });
    const { format, config_groups } = config.quantization_config;
    expect(format).toBe('int-quantized');
    expect(config_groups.group_0).toMatchObject({
      weights: { num_bits: 8, type: 'int', symmetric: true, strategy: 'channel', group_size: null, dynamic: false },
      input_activations: {
        num_bits: 8,
        type: 'int',
        symmetric: true,
        strategy: 'token',
        dynamic: true,
        observer: null,
      },
    });
    await expectSameValues(model, checkpoint, config as never);
  });

  it.each([
    ['fp8', {}, 'naive-quantized', { strategy: 'channel' }, null],
    ['w8a8-fp8', {}, 'float-quantized', { strategy: 'channel' }, { strategy: 'token', dynamic: true, type: 'float' }],
    [
      'w8a8-fp8',
      { groupSize: 'tensor' },
      'float-quantized',
      { strategy: 'tensor' },
      { strategy: 'token', dynamic: true },
    ],
    ['fp8', { blockShape: [16, 16] }, 'naive-quantized', { strategy: 'block', block_structure: [16, 16] }, null],
  ] as const)('writes %s %o as %s', async (name, options, format, weights, inputs) => {
    const model = await codedModel({ schemeOf: allOf(schemeOf(name, options as never)), sizes: ROUND_SIZES });
    const { checkpoint, config } = await written(model);
    const { codes, rows, columns, scales } = model.matrices.get(`${Q}.weight`)!;
    expect(checkpoint.tensors.get(`${Q}.weight`)).toMatchObject({ dtype: 'F8_E4M3', shape: [rows, columns] });
    expect(await checkpoint.read(`${Q}.weight`)).toEqual(codes);
    const shape = weights.strategy === 'tensor' ? [1] : scales.shape;
    expect(checkpoint.tensors.get(`${Q}.weight_scale`)).toMatchObject({ dtype: 'F32', shape });
    const { config_groups, ...top } = config.quantization_config;
    expect(top.format).toBe(format);
    expect(config_groups.group_0.weights).toMatchObject({ num_bits: 8, type: 'float', symmetric: true, ...weights });
    if (inputs === null) expect(config_groups.group_0.input_activations).toBeNull();
    else expect(config_groups.group_0.input_activations).toMatchObject(inputs);
    await expectSameValues(model, checkpoint, config as never);
  });

  it('writes static scales of inputs and of the KV cache, and reads them back', async () => {
    const model = await codedModel({
      schemeOf: allOf(schemeOf('w8a8-fp8', { groupSize: 'tensor' })),
      sizes: ROUND_SIZES,
    });
    const inputScales = new Map([...model.view.coded.keys()].map((weight, index) => [weight, 2 ** -index]));
    const kvScales = new Map([0, 1].map((block) => [block, { k: 0.5 + block, v: 0.25 + block }]));
    const checkpoint = await layout.write(model.view, model, model.config, { inputScales, kvScales });
    const config = JSON.parse(checkpoint.companions!.get('config.json')!);
    const { config_groups, kv_cache_scheme } = config.quantization_config;
    expect(config_groups.group_0.input_activations).toMatchObject({
      strategy: 'tensor',
      dynamic: false,
      type: 'float',
    });
    expect(kv_cache_scheme).toMatchObject({
      num_bits: 8,
      type: 'float',
      strategy: 'tensor',
      dynamic: false,
      symmetric: true,
    });
    expect(checkpoint.tensors.get('model.layers.1.self_attn.k_scale')).toMatchObject({ dtype: 'F32', shape: [1] });
    expect(decodeToF32(await checkpoint.read('model.layers.1.self_attn.v_scale'), 'F32')).toEqual(
      Float32Array.of(1.25),
    );
    const back = await readQuantized(checkpoint, config, 'config.json');
    expect(back.extras.kvScales).toEqual(kvScales);
    expect(back.extras.inputScales).toEqual(inputScales);
    expect([...back.tensors.keys()].filter((name) => /[kv]_scale|input_scale/.test(name))).toEqual([]);
  });

  it('gives each of several schemes a group that names its modules', async () => {
    const int4 = schemeOf('int4', { groupSize: 32 });
    const int8 = schemeOf('w8a8');
    const model = await codedModel({
      schemeOf: (weight) => (weight.includes('mlp') ? int4 : weight.includes('self_attn') ? int8 : undefined),
      sizes: ROUND_SIZES,
    });
    const { checkpoint, config } = await written(model);
    const { format, config_groups } = config.quantization_config;
    expect(format).toBe('mixed-precision');
    expect(config_groups.group_0).toMatchObject({ format: 'int-quantized' });
    expect(config_groups.group_0.targets).toContain('model.layers.1.self_attn.o_proj');
    expect(config_groups.group_1).toMatchObject({ format: 'pack-quantized' });
    expect(config_groups.group_1.targets).toHaveLength(6);
    await expectSameValues(model, checkpoint, config as never);
  });
});
