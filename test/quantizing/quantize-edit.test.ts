import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats } from '../../src/checkpoint/index.js';
import { silent } from '../../src/events.js';
import { encodeRows } from '../../src/ggml/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import type { SettleContext } from '../../src/pruning/index.js';
import { dequantizeMatrix, quantizeMatrix, schemeOf } from '../../src/quantization/index.js';
import { type QuantizedRow, type QuantizeSettings, quantizeEdit } from '../../src/quantizing/index.js';
import { type Device, decodeToF32, openDevice } from '../../src/tensor/index.js';
import { proposeLayer } from '../fixtures/proposed-layer.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

let device: Device;
let model: Model;
let wide: Model;
const folders: string[] = [];
beforeAll(async () => {
  device = await openDevice('cpu', {});
  const open = async (config: typeof TINY_LLAMA) => {
    const folder = writeTinyModel(tinyModel(config));
    folders.push(folder);
    return openModel(folder);
  };
  model = await open(TINY_LLAMA);
  wide = await open({ ...TINY_LLAMA, intermediate_size: 256 });
});
afterAll(async () => {
  for (const opened of [model, wide]) await opened.checkpoint.close();
  await device.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const DOWN = 'model.layers.1.mlp.down_proj.weight';
const GATE = 'model.layers.0.mlp.gate_proj.weight';

async function proposed(settings: QuantizeSettings, on = model, calibration?: readonly { ids: Int32Array }[]) {
  const edit = await quantizeEdit(settings, settings.scheme?.startsWith('q') ? 'gguf' : 'native');
  const { view, proposal } = await proposeLayer(edit, on, { device, ...(calibration && { calibration }) });
  const rows = (proposal.details?.['quantized'] ?? []) as readonly QuantizedRow[];
  return { view, rows, row: (weight: string) => rows.find((row) => row.weight === weight)! };
}

function settleContext(): SettleContext {
  return {
    model,
    device,
    target: 1,
    calibration: [],
    marks: Marks.none,
    spared: Marks.none,
    memoryBytes: 2 ** 30,
    spillFolder: tmpdir(),
    report: silent,
  };
}

describe('quantizeEdit', () => {
  it('shows through the decoded view what the scheme rounds each linear to, and all else as it was', async () => {
    const { view, rows, row } = await proposed({ scheme: 'int4', groupSize: 16, algorithm: 'rtn' });
    for (const { weight, rows: height, columns } of model.decoder.blocks.flatMap(({ linears }) => linears)) {
      const values = await readFloats(model.checkpoint, weight);
      const expected = dequantizeMatrix(quantizeMatrix(values, height, columns, schemeOf('int4', { groupSize: 16 })));
      expect(await readFloats(view, weight)).toEqual(expected);
      const squares = (list: Float32Array) => list.reduce((sum, value) => sum + value * value, 0);
      const error = Math.sqrt(squares(values.map((value, i) => value - expected[i]!)) / squares(values));
      expect(row(weight).error).toBeCloseTo(error, 6);
    }
    const head = await model.checkpoint.read('lm_head.weight');
    expect(await view.read('lm_head.weight')).toEqual(head);
    expect([...view.tensors.keys()]).toEqual([...model.checkpoint.tensors.keys()]);
    expect(rows.length).toBe(2 * 7 + 2);
    expect(row('lm_head.weight')).toMatchObject({
      form: 'as it is',
      bits: 32,
      reason: expect.stringContaining('stay'),
    });
  });

  it('counts scales and zero points among the bits of a weight', async () => {
    // 32 inputs: two groups of 16 with an F16 scale each, and a byte for each zero point.
    const symmetric = await proposed({ scheme: 'int4', groupSize: 16 });
    expect(symmetric.row(GATE).bits).toBe(4 + 16 / 16);
    const asymmetric = await proposed({ scheme: 'int4', groupSize: 16, asymmetric: true });
    expect(asymmetric.row(GATE).bits).toBe(4 + (16 + 8) / 16);
    const channel = await proposed({ scheme: 'int8' });
    expect(channel.row(GATE).bits).toBe(8 + 16 / 32);
  });

  it('gives tensors other schemes where they are asked for, the last glob first', async () => {
    const keep = { '*down_proj*': 'int8', [DOWN]: 'dense', '*k_proj*': 'bf16' };
    const { view, row } = await proposed({ scheme: 'int4', groupSize: 16, keep });
    expect(row(DOWN)).toMatchObject({ form: 'as it is', bits: 32 });
    expect(row(DOWN.replace('1', '0')).form).toBe('int8, per channel');
    expect(row('model.layers.0.self_attn.k_proj.weight').form).toBe('bf16');
    expect(view.raw.tensors.get('model.layers.0.self_attn.k_proj.weight')?.dtype).toBe('BF16');
    expect(view.tensors.get(DOWN)?.dtype).toBe('F32');
  });

  it('writes ggml blocks as the encoder does, where rows fill none of the wanted ones the next smaller', async () => {
    const { view, row } = await proposed({ scheme: 'q4_k_m' }, wide);
    const values = await readFloats(wide.checkpoint, DOWN);
    expect(view.raw.tensors.get(DOWN)).toMatchObject({ shape: [32, 256] });
    const { dtype } = view.raw.tensors.get(DOWN)!;
    expect(['Q4_K', 'Q6_K']).toContain(dtype);
    const bytes = encodeRows(dtype as 'Q4_K', values, 256);
    expect(await view.raw.read(DOWN)).toEqual(bytes);
    expect(await readFloats(view, DOWN)).toEqual(decodeToF32(bytes, dtype));
    expect(row(GATE).form).toBe('Q5_0 in place of Q4_K');
    expect(row('lm_head.weight').form).toBe('Q8_0');
  });

  it('weighs the errors of blocks by what a text multiplies the columns with', async () => {
    const ids = Int32Array.from({ length: 64 }, (_, i) => (i * 7) % 61);
    const plain = await proposed({ scheme: 'q4_0' }, wide);
    const weighted = await proposed({ scheme: 'q4_0' }, wide, [{ ids }]);
    expect(weighted.row(GATE).algorithm).toBe('weighted-blocks');
    expect(plain.row(GATE).algorithm).toBe('blocks');
    expect(await weighted.view.raw.read(GATE)).not.toEqual(await plain.view.raw.read(GATE));
  });

  it('says before any work which tensors fall back', async () => {
    const edit = await quantizeEdit({ scheme: 'q4_k_m' }, 'gguf');
    const notices = await edit.check!(model);
    expect(notices).toContainEqual(expect.stringContaining(`${GATE} is Q5_0 in place of Q4_K`));
    expect(notices).toContainEqual(expect.stringContaining('rows of 44'));
  });

  it('divides a budget of bits over the matrices once model and text are there, fused ones alike', async () => {
    const edit = await quantizeEdit(
      { bitsPerWeight: 9, groupSize: 4, keep: { [DOWN]: 'dense' } },
      'compressed-tensors',
    );
    const calibration = [{ ids: Int32Array.from({ length: 16 }, (_, i) => (7 * i) % 61) }];
    const settled = await edit.settle!({ ...settleContext(), calibration });
    const { proposal } = await proposeLayer(settled, model, { device });
    const rows = proposal.details!['quantized'] as readonly QuantizedRow[];
    const [budget] = proposal.details!['budget'] as readonly { bytes: number; budgetBytes: number }[];
    // int4 in groups of 4 takes 4 + 16 / 4 = 8 bits, int8 takes 12: some of each fill 9 bits.
    expect(budget!.bytes).toBeLessThanOrEqual(budget!.budgetBytes);
    expect(new Set(rows.map(({ form }) => form))).toContain('int8, groups of 4');
    expect(new Set(rows.map(({ form }) => form))).toContain('int4, groups of 4');
    expect(rows.find(({ weight }) => weight === DOWN)?.reason).toContain('--keep');
    const formOf = (role: string) => rows.find(({ weight }) => weight.includes(`layers.0.self_attn.${role}`))?.form;
    expect(new Set([formOf('q_proj'), formOf('k_proj'), formOf('v_proj')]).size).toBe(1);
  });

  it.each([
    ['a scheme that there is not', { scheme: 'int7' }, 'Known: int8'],
    ['no scheme', {}, 'needs a scheme'],
    ['an algorithm that there is not', { scheme: 'int4', algorithm: 'magic' }, 'algorithm "magic"'],
    ['groups for a mix', { scheme: 'q4_k_m', groupSize: 64 }, '--group-size 64 would be without effect'],
    ['an algorithm for a mix', { scheme: 'q6_k', algorithm: 'gptq' }, '--algorithm gptq would be'],
    ['floats for a budget', { scheme: 'fp8', bitsPerWeight: 6 }, '--scheme fp8 is not allowed'],
    ['groups for bf16', { scheme: 'bf16', groupSize: 64 }, 'no scales'],
  ])('refuses %s', async (_, settings, said) => {
    const made = quantizeEdit(settings, 'native');
    await expect(made).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(said) });
  });

  it('refuses GPUs over which a matrix cannot be divided, and formats that no engine divides', async () => {
    const settings = { scheme: 'int4', groupSize: 16 } as const;
    await expect(quantizeEdit(settings, 'native', { tensorParallel: 2 })).rejects.toThrow('--tp 2 has no effect');
    const two = await quantizeEdit(settings, 'compressed-tensors', { tensorParallel: 2 });
    await two.check!(wide);
    const four = await quantizeEdit(settings, 'compressed-tensors', { tensorParallel: 4 });
    await expect(four.check!(wide)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('rule tensor-parallel'),
    });
  });

  it.each([
    ['a glob that fits nothing', { '*nothing*': 'int8' }, 'No matrix fits *nothing*'],
    ['a mix among integers', { [GATE]: 'q4_k_m' }, 'is not allowed here'],
  ])('refuses %s when it plans', async (_, keep, said) => {
    const edit = await quantizeEdit({ scheme: 'int4', keep }, 'native');
    expect(() => edit.plan(model)).toThrow(said);
  });

  it.each([
    ['gguf', { scheme: 'int4' }, 'The format gguf cannot hold int4'],
    ['compressed-tensors', { scheme: 'q4_k_m' }, 'The format compressed-tensors cannot hold'],
    ['gptq', { scheme: 'bf16' }, 'every matrix stays a plain float'],
    ['compressed-tensors', { scheme: 'nf4', groupSize: 16 }, 'codebook'],
    ['compressed-tensors', { scheme: 'int4', groupSize: 64 }, 'groups of 64 do not divide'],
  ] as const)('refuses what %s cannot hold, before any work', async (format, settings, said) => {
    const edit = await quantizeEdit(settings, format);
    await expect(edit.check!(model)).rejects.toThrow(said);
  });
});
