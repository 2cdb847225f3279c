import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/index.js';
import { decodedView } from '../../src/coding/index.js';
import { layouts, readQuantized } from '../../src/layouts/index.js';
import { schemeOf } from '../../src/quantization/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import { type CodedModel, codedModel, ROUND_SIZES } from './coded-model.js';
import { expectBytes } from './expect-bytes.js';
import { bytesOfWords, flipped, gptqWords, rowsOf } from './packing-oracle.js';

const layout = await layouts.load('gptq');

/** Multiples of 32 and of nothing larger, for one. */
const SIZES = { hidden_size: 96, num_attention_heads: 3, num_key_value_heads: 1, intermediate_size: 160 } as const;
const ONE_LAYER = { ...SIZES, num_hidden_layers: 1 } as const;

/** Makes every group have a negative number, so that no zero point is 0. */
function withNegatives(_: string, values: Float32Array): void {
  for (let index = 5; index < values.length; index += 32) values[index] = -1;
}

const inBlocks = (weight: string) => !weight.includes('lm_head');

async function written(model: CodedModel) {
  const checkpoint = await layout.write(model.view, model, model.config);
  return { checkpoint, config: JSON.parse(checkpoint.companions!.get('config.json')!) };
}

async function readBack(checkpoint: Checkpoint, config: never) {
  return decodedView(await readQuantized(checkpoint, config, 'config.json'));
}

describe('GPTQ v1', () => {
  const cases = [2, 3, 4, 8].flatMap((bits) =>
    [false, true].flatMap((asymmetric) =>
      [32, 'channel' as const].map((groupSize) => ({ bits, asymmetric, groupSize })),
    ),
  );

  it.each(cases)('packs $bits bits, asymmetric: $asymmetric, groups of $groupSize, as AutoGPTQ does', async (one) => {
    const { bits, asymmetric, groupSize } = one;
    const scheme = schemeOf(`int${bits}`, { asymmetric, groupSize, scaleDtype: 'F16' });
    const model = await codedModel({
      schemeOf: (weight) => (inBlocks(weight) ? scheme : undefined),
      sizes: ONE_LAYER,
      seed: bits,
      // No zero point of 0: those have a test of their own.
      prepare: withNegatives,
    });
    const { checkpoint, config } = await written(model);
    for (const [weight, { rows, columns, codes, scales }] of model.matrices) {
      const module = weight.slice(0, -'.weight'.length);
      const groups = scales.shape[1];
      expect(checkpoint.tensors.get(`${module}.qweight`)).toMatchObject({
        dtype: 'I32',
        shape: [(columns / 32) * bits, rows],
      });
      const perOutput = rowsOf(codes, rows).map((row) => gptqWords(row, bits));
      expectBytes(await checkpoint.read(`${module}.qweight`), bytesOfWords(flipped(perOutput)));
      const zeros = asymmetric
        ? rowsOf(scales.zeroPoints!, rows)
        : rowsOf(new Array(rows * groups).fill(2 ** (bits - 1)), rows);
      const perGroup = flipped(zeros).map((line) =>
        gptqWords(
          line.map((zero) => zero - 1),
          bits,
        ),
      );
      expect(checkpoint.tensors.get(`${module}.qzeros`)).toMatchObject({
        dtype: 'I32',
        shape: [groups, (rows / 32) * bits],
      });
      expectBytes(await checkpoint.read(`${module}.qzeros`), bytesOfWords(perGroup));
      expect(checkpoint.tensors.get(`${module}.scales`)).toMatchObject({ dtype: 'F16', shape: [groups, rows] });
      const stored = decodeToF32(await checkpoint.read(`${module}.scales`), 'F16');
      expect(rowsOf(stored, groups)).toEqual(flipped(rowsOf(scales.values, rows)));
      const indices = new Int32Array((await checkpoint.read(`${module}.g_idx`)).slice().buffer);
      const size = groupSize === 'channel' ? columns : groupSize;
      expect([...indices]).toEqual(Array.from({ length: columns }, (_, input) => Math.floor(input / size)));
    }
    const back = await readBack(checkpoint, config as never);
    for (const { name } of model.view.tensors.values()) {
      expectBytes(await back.read(name), await model.view.read(name), name);
    }
    expect([...back.tensors.keys()]).toEqual([...model.view.tensors.keys()]);
  });

  it('stores a symmetric zero point of 8 as 0x77777777', async () => {
    const scheme = schemeOf('int4', { groupSize: 32, scaleDtype: 'F16' });
    const model = await codedModel({ schemeOf: (weight) => (inBlocks(weight) ? scheme : undefined), sizes: SIZES });
    const { checkpoint } = await written(model);
    const zeros = await checkpoint.read('model.layers.0.mlp.down_proj.qzeros');
    expect(new Set(zeros)).toEqual(new Set([0x77]));
  });

  it('says in config.json and quantize_config.json what loaders read', async () => {
    const scheme = schemeOf('int4', { groupSize: 32, scaleDtype: 'F16' });
    const model = await codedModel({ schemeOf: (weight) => (inBlocks(weight) ? scheme : undefined), sizes: SIZES });
    const gptq = { dampPercent: 0.05, staticGroups: true, trueSequential: true };
    const checkpoint = await layout.write(model.view, model, model.config, { gptq });
    const expected = {
      bits: 4,
      group_size: 32,
      damp_percent: 0.05,
      desc_act: false,
      static_groups: true,
      sym: true,
      true_sequential: true,
      lm_head: false,
      quant_method: 'gptq',
      checkpoint_format: 'gptq',
    };
    expect(JSON.parse(checkpoint.companions!.get('config.json')!).quantization_config).toEqual(expected);
    expect(JSON.parse(checkpoint.companions!.get('quantize_config.json')!)).toEqual(expected);
  });

  it('names dense modules and those of other schemes in `dynamic`, with the layers that vLLM fuses them into', async () => {
    const int4 = schemeOf('int4', { groupSize: 32, scaleDtype: 'F16' });
    const int8 = schemeOf('int8', { groupSize: 'channel', scaleDtype: 'F16' });
    const model = await codedModel({
      schemeOf: (weight) =>
        /layers\.1\.self_attn\.[qkv]/.test(weight)
          ? undefined
          : /down_proj/.test(weight)
            ? int8
            : inBlocks(weight)
              ? int4
              : undefined,
      sizes: SIZES,
    });
    const { checkpoint, config } = await written(model);
    expect(config.quantization_config.dynamic).toEqual({
      '-:^model\\.layers\\.1\\.self_attn\\.q_proj$': {},
      '-:^model\\.layers\\.1\\.self_attn\\.qkv_proj$': {},
      '-:^model\\.layers\\.1\\.self_attn\\.k_proj$': {},
      '-:^model\\.layers\\.1\\.self_attn\\.v_proj$': {},
      '+:^model\\.layers\\.0\\.mlp\\.down_proj$': { bits: 8, group_size: -1, sym: true },
      '+:^model\\.layers\\.1\\.mlp\\.down_proj$': { bits: 8, group_size: -1, sym: true },
    });
    const back = await readBack(checkpoint, config as never);
    for (const { name } of model.view.tensors.values()) {
      expectBytes(await back.read(name), await model.view.read(name), name);
    }
  });
});

describe('zero points of 0, which GPTQ v1 cannot store', () => {
  const scheme = schemeOf('int4', { asymmetric: true, groupSize: 32, scaleDtype: 'F16' });
  const zeroed = 'model.layers.0.mlp.up_proj.weight';

  it('writes a group of zeros one code higher, with the same values', async () => {
    const model = await codedModel({
      schemeOf: (weight) => (inBlocks(weight) ? scheme : undefined),
      sizes: SIZES,
      // Rows 3 and 40: pruned; and their neighbours stay.
      prepare: (weight, values) => {
        if (weight !== zeroed) return;
        for (const row of [3, 40]) values.fill(0, row * 96, row * 96 + 64);
      },
      adjust: (_, { scales, codes, columns }) =>
        scales.zeroPoints!.forEach((zero, index) => {
          const [row, group] = [Math.floor(index / (columns / 32)), index % (columns / 32)];
          const own = codes.subarray(row * columns + group * 32, row * columns + (group + 1) * 32);
          // Groups of positive numbers alone are no matter of this test.
          if (zero === 0 && own.includes(15)) scales.zeroPoints![index] = 1;
        }),
    });
    const { zeroPoints, shape } = model.matrices.get(zeroed)!.scales;
    expect(rowsOf(zeroPoints!, shape[0])[3]!.slice(0, 2)).toEqual([0, 0]);
    const { checkpoint, config } = await written(model);
    const stored = await checkpoint.read('model.layers.0.mlp.up_proj.qzeros');
    // Nothing stored is −1.
    expect([...stored].flatMap((byte) => [byte % 16, Math.floor(byte / 16)])).not.toContain(15);
    const back = await readBack(checkpoint, config as never);
    for (const name of model.view.coded.keys()) expectBytes(await back.read(name), await model.view.read(name));
  });

  it('refuses a group that has every code and a zero point of 0', async () => {
    const model = await codedModel({
      schemeOf: (weight) => (inBlocks(weight) ? scheme : undefined),
      sizes: SIZES,
      prepare: withNegatives,
      adjust: (weight, { scales, codes }) => {
        if (weight !== zeroed) return;
        scales.zeroPoints![7 * 3 + 1] = 0;
        codes[7 * 96 + 32 + 9] = 15;
      },
    });
    await expect(layout.write(model.view, model, model.config)).rejects.toMatchObject({
      code: 'unsupported',
      tensor: zeroed,
      message: expect.stringMatching(/rule zero-points.*row 7 .*group \(1\)/s),
    });
  });
});

describe('GPTQ of others', () => {
  const scheme = schemeOf('int4', { groupSize: 32, scaleDtype: 'F16' });
  const modelOf = () =>
    codedModel({ schemeOf: (weight) => (inBlocks(weight) ? scheme : undefined), sizes: ROUND_SIZES });

  /** The checkpoint with some tensors exchanged, added or (undefined) gone. */
  function changed(source: Checkpoint, bytes: Readonly<Record<string, Uint8Array | undefined>>): Checkpoint {
    const tensors = new Map(source.tensors);
    for (const [name, value] of Object.entries(bytes)) {
      const info = tensors.get(name);
      if (value === undefined) tensors.delete(name);
      else tensors.set(name, info ?? { name, dtype: 'F16', shape: [value.length / 2], byteLength: value.length });
    }
    return {
      ...source,
      tensors,
      read: async (name, range) => {
        const own = bytes[name];
        if (own === undefined) return source.read(name, range);
        const { offset, length } = range ?? { offset: 0, length: own.length };
        return own.slice(offset, offset + length);
      },
    };
  }

  it('reads groups in the order of activations (desc_act) as dense values', async () => {
    const model = await modelOf();
    const { checkpoint, config } = await written(model);
    const name = 'model.layers.0.self_attn.o_proj';
    const order = Array.from({ length: 64 }, (_, input) => (input * 37) % 2);
    const view = await readBack(
      changed(checkpoint, { [`${name}.g_idx`]: new Uint8Array(Int32Array.from(order).buffer) }),
      config as never,
    );
    expect(view.coded.has(`${name}.weight`)).toBe(false);
    expect(view.tensors.get(`${name}.weight`)).toMatchObject({ dtype: 'F32', shape: [64, 64] });
    const values = decodeToF32(await view.read(`${name}.weight`), 'F32');
    const { codes, scales } = model.matrices.get(`${name}.weight`)!;
    for (let at = 0; at < values.length; at += 1) {
      const scale = scales.values[Math.floor(at / 64) * 2 + order[at % 64]!]!;
      expect(values[at]).toBe(Math.fround((codes[at]! - 8) * scale));
    }
  });

  it('does without g_idx, and without the biases of zeros that AutoGPTQ stores', async () => {
    const model = await modelOf();
    const { checkpoint, config } = await written(model);
    const name = 'model.layers.0.self_attn.q_proj';
    const source = changed(checkpoint, { [`${name}.g_idx`]: undefined, [`${name}.bias`]: new Uint8Array(128) });
    const view = await readBack(source, config as never);
    expect(view.tensors.has(`${name}.bias`)).toBe(false);
    expectBytes(await view.read(`${name}.weight`), await model.view.read(`${name}.weight`));
    const real = await readBack(
      changed(checkpoint, { [`${name}.bias`]: new Uint8Array(128).fill(60) }),
      config as never,
    );
    expect(real.tensors.has(`${name}.bias`)).toBe(true);
  });

  it('reads v2, whose zero points are stored as they are', async () => {
    const model = await modelOf();
    const { checkpoint, config } = await written(model);
    const zeros = Object.fromEntries(
      [...checkpoint.tensors.values()]
        .filter(({ name }) => name.endsWith('.qzeros'))
        .map(({ name, byteLength }) => [name, new Uint8Array(byteLength).fill(0x88)]),
    );
    const v2 = { ...config, quantization_config: { ...config.quantization_config, checkpoint_format: 'gptq_v2' } };
    const view = await readBack(changed(checkpoint, zeros), v2 as never);
    for (const name of model.view.coded.keys()) expectBytes(await view.read(name), await model.view.read(name));
  });
});
