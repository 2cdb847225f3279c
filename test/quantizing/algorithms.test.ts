import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MemoryValues, memoryLayer, overlay, readFloats } from '../../src/checkpoint/index.js';
import { type LinearSpec, type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { dequantizeMatrix, quantizeMatrix, schemeOf } from '../../src/quantization/index.js';
import type { QuantizerOptions } from '../../src/quantizing/index.js';
import type { Removal } from '../../src/solvers/index.js';
import { parsePattern } from '../../src/sparsity/index.js';
import { type Device, encodeFromF32, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, randomIds, writeFixture } from '../fixtures/architectures/index.js';
import { type OurQuantized, quantizeOurs } from '../reference/quantization/our-quantization.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const INT4 = schemeOf('int4', { groupSize: 16 });

let device: Device;
let model: Model;
beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(writeTinyModel(tinyModel(TINY_LLAMA)));
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
});

const text = (vocabulary: number, lengths: readonly number[] = [40, 40, 40]) =>
  lengths.map((length, seed) => ({ ids: Int32Array.from(randomIds(length, vocabulary, seed + 1)) }));

interface Wish {
  readonly algorithm: string;
  readonly of?: Model;
  readonly only?: (spec: LinearSpec) => boolean;
  readonly options?: QuantizerOptions;
  readonly scheme?: typeof INT4;
}

function quantize({ algorithm, of = model, only = () => true, options, scheme = INT4 }: Wish): Promise<OurQuantized> {
  const calibration = text(of.decoder.vocabulary);
  const schemeFor = (spec: LinearSpec) => (spec.role !== 'router' && only(spec) ? scheme : undefined);
  return quantizeOurs(of, { algorithm, scheme: schemeFor, calibration, device, ...(options && { options }) });
}

/** The model with dense values in some tensors. */
function withValues(values: ReadonlyMap<string, Float32Array>, of = model): Model {
  const layer = new Map<string, MemoryValues>();
  for (const [name, own] of values) {
    const info = of.checkpoint.tensors.get(name)!;
    layer.set(name, { info, bytes: encodeFromF32(own, info.dtype) });
  }
  return withCheckpoint(of, overlay(of.checkpoint, [memoryLayer(new Map(), layer)]));
}

/** The model with what these of its matrices became. */
const withQuantized = (made: OurQuantized, chosen: (name: string) => boolean) =>
  withValues(
    new Map(
      [...made.matrices].filter(([name]) => chosen(name)).map(([name, matrix]) => [name, dequantizeMatrix(matrix)]),
    ),
  );

const codesOf = ({ matrices }: OurQuantized, part: string) =>
  [...matrices].filter(([name]) => name.includes(part)).map(([name, { codes }]) => [name, codes]);

describe('gptq', () => {
  const plain = { actOrder: false, trueSequential: false };

  it('sees of a block what the quantized blocks before it give', async () => {
    const all = await quantize({ algorithm: 'gptq', options: plain });
    const first = withQuantized(all, (name) => name.includes('layers.0.'));
    const second = await quantize({
      algorithm: 'gptq',
      of: first,
      only: ({ weight }) => weight.includes('layers.1.'),
      options: plain,
    });
    expect(codesOf(all, 'layers.1.')).toEqual(codesOf(second, 'layers.1.'));
    const dense = await quantize({
      algorithm: 'gptq',
      only: ({ weight }) => weight.includes('layers.1.'),
      options: plain,
    });
    expect(codesOf(all, 'layers.1.')).not.toEqual(codesOf(dense, 'layers.1.'));
  });

  it('sees with true sequential what the quantized matrices before it give within the block', async () => {
    const all = await quantize({ algorithm: 'gptq', options: { trueSequential: true, actOrder: false } });
    const qkv = withQuantized(all, (name) => /layers\.0\..*(q|k|v)_proj/.test(name));
    const only = ({ weight }: LinearSpec) => weight.includes('layers.0.self_attn.o_proj');
    const o = await quantize({ algorithm: 'gptq', of: qkv, only, options: plain });
    expect(codesOf(all, 'layers.0.self_attn.o_proj')).toEqual(codesOf(o, 'o_proj'));
    const dense = await quantize({ algorithm: 'gptq', only, options: plain });
    expect(codesOf(all, 'layers.0.self_attn.o_proj')).not.toEqual(codesOf(dense, 'o_proj'));
  });

  it('keeps static groups in the ordinary layout: scales are those of plain rounding', async () => {
    const [gptq, rtn] = [await quantize({ algorithm: 'gptq' }), await quantize({ algorithm: 'rtn' })];
    for (const [name, { scales, codes }] of gptq.matrices) {
      expect(scales, name).toEqual(rtn.matrices.get(name)!.scales);
      expect(codes, name).not.toEqual(rtn.matrices.get(name)!.codes);
    }
  });

  it('names the experts that no token reached, and rounds them to nearest', async () => {
    const routed = await openModel(writeFixture(fixtureModel(architectureFixtures['mixtral']!)));
    const settings = { scheme: INT4, calibration: text(routed.decoder.vocabulary, [1]), device };
    const scheme = ({ role }: LinearSpec) => (role === 'router' ? undefined : INT4);
    const made = await quantizeOurs(routed, { ...settings, scheme, algorithm: 'gptq' });
    const fallen = made.reports.filter(({ algorithm }) => algorithm === 'rtn');
    expect(fallen.length).toBeGreaterThan(0);
    const nearest = await quantizeOurs(routed, { ...settings, scheme, algorithm: 'rtn' });
    for (const { weight, reason, loss } of fallen) {
      expect(weight).toContain('experts');
      expect(reason).toBe('no token of the calibration text reached it');
      expect(loss).toBeUndefined();
      expect(made.matrices.get(weight)!.codes).toEqual(nearest.matrices.get(weight)!.codes);
    }
    for (const { algorithm, loss, damp } of made.reports.filter((report) => !fallen.includes(report))) {
      expect(algorithm).toBe('gptq');
      expect(loss).toBeGreaterThan(0);
      expect(damp).toBeGreaterThanOrEqual(0.01);
    }
    await routed.checkpoint.close();
  });

  it('prunes on the way where it is told to, 2 of every 4 inputs, and no other matrix', async () => {
    const pattern = await parsePattern('2:4');
    if (pattern.kind !== 'fixed') throw new Error('2:4 says how much goes');
    const removal: Removal = { group: pattern.group, mask: (scores) => pattern.mask(scores) };
    const removalOf = (weight: string) => (weight.includes('down_proj') ? removal : undefined);
    const made = await quantize({ algorithm: 'gptq', options: { removalOf } });
    for (const [name, matrix] of made.matrices) {
      const values = dequantizeMatrix(matrix);
      const kept = Array.from({ length: values.length / 4 }, (_, group) => {
        return values.subarray(4 * group, 4 * group + 4).filter((value) => value !== 0).length;
      });
      if (name.includes('down_proj')) expect(Math.max(...kept), name).toBeLessThanOrEqual(2);
      else expect(Math.max(...kept), name).toBe(4);
    }
  });

  it('refuses inputs that are no numbers, with a way out', async () => {
    const { weight } = model.decoder.blocks[0]!.linears[0]!;
    const gain = model.decoder.blocks[0]!.vectors.find(({ kind }) => kind === 'attention-norm')!.tensor;
    const gains = (await readFloats(model.checkpoint, gain)).fill(3e38);
    const damaged = withValues(new Map([[gain, gains]]));
    await expect(quantize({ algorithm: 'gptq', of: damaged })).rejects.toMatchObject({
      code: 'unsupported',
      tensor: expect.stringContaining(weight),
      suggestions: expect.arrayContaining([expect.stringContaining('--algorithm rtn')]),
    });
  });
});

describe('awq', () => {
  it('lets no input do worse than plain rounding, and says with which exponent', async () => {
    const made = await quantize({ algorithm: 'awq' });
    const scaled = made.reports.filter(({ ratio }) => ratio !== undefined);
    expect(scaled.length).toBeGreaterThan(0);
    for (const { algorithm, errorRatio, ratio } of made.reports) {
      expect(algorithm).toBe('awq');
      if (errorRatio !== undefined) expect(errorRatio).toBeLessThanOrEqual(1);
      if (ratio !== undefined) expect(errorRatio).toBeLessThan(1);
    }
    // Grouped queries: v's rows are read by several heads each, and o's inputs stay as they are.
    const o = made.reports.find(({ weight }) => weight.includes('o_proj'))!;
    expect(o).toMatchObject({ reason: expect.stringContaining('clipped alone') });
  });

  it('makes the weights of large inputs finer: planted outliers are found', async () => {
    const norm = model.decoder.blocks[0]!.vectors.find(({ kind }) => kind === 'attention-norm')!.tensor;
    const gains = await readFloats(model.checkpoint, norm);
    const loud = gains.map((gain, j) => (j === 5 ? gain * 40 : gain));
    const made = await quantize({ algorithm: 'awq', of: withValues(new Map([[norm, loud]])) });
    const scales = loud.map((gain, j) => gain / made.values.get(norm)![j]!);
    const median = Float32Array.from(scales).sort()[scales.length >> 1]!;
    expect(scales[5]! / median).toBeGreaterThan(2);
    const q = made.reports.find(({ weight }) => weight.includes('layers.0.self_attn.q_proj'))!;
    expect(q.errorRatio).toBeLessThan(0.7);
  });
});

describe('smoothquant', () => {
  it('divides by √(max |x| / max |W|), as its formula says', async () => {
    const norm = model.decoder.blocks[0]!.vectors.find(({ kind }) => kind === 'ffn-norm')!.tensor;
    const gains = await readFloats(model.checkpoint, norm);
    const loud = gains.map((gain, j) => (j === 3 ? gain * 100 : gain));
    const of = withValues(new Map([[norm, loud]]));
    const made = await quantize({ algorithm: 'smoothquant', of, scheme: schemeOf('w8a8') });
    const made2 = await quantize({ algorithm: 'smoothquant', scheme: schemeOf('w8a8') });
    const scaleOf = (values: OurQuantized, before: Float32Array, j: number) =>
      before[j]! / values.values.get(norm)![j]!;
    // A hundred times the largest input, the same weights: ten times the scale.
    expect(scaleOf(made, loud, 3) / scaleOf(made2, gains, 3)).toBeCloseTo(10, 3);
    for (const j of [0, 1, 2]) expect(scaleOf(made, loud, j)).toBeCloseTo(scaleOf(made2, gains, j), 4);
    const gate = of.decoder.blocks[0]!.linears.find(({ role }) => role === 'gate')!;
    const weights = await readFloats(of.checkpoint, gate.weight);
    const scaled = weights.map((value, i) => value * scaleOf(made, loud, i % gate.columns));
    const expected = quantizeMatrix(scaled, gate.rows, gate.columns, schemeOf('w8a8'));
    expect(distance(dequantizeMatrix(made.matrices.get(gate.weight)!), dequantizeMatrix(expected))).toBeLessThan(1e-2);
  });

  it('refuses schemes that leave activations as they are, before any work', async () => {
    await expect(quantize({ algorithm: 'smoothquant' })).rejects.toMatchObject({
      code: 'unsupported',
      suggestions: expect.arrayContaining([expect.stringContaining('w8a8')]),
    });
  });
});

it.each(['gptq', 'awq', 'hqq'])('%s refuses what leaves nothing to search', async (algorithm) => {
  await expect(quantize({ algorithm, scheme: schemeOf('bf16') })).rejects.toMatchObject({ code: 'unsupported' });
});

it('rounds by text no model that cannot be run', async () => {
  const unknown: Model = { ...model, decoder: { ...model.decoder, refusal: 'no such architecture' } };
  await expect(quantize({ algorithm: 'gptq', of: unknown })).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('no such architecture'),
  });
});

function distance(a: Float32Array, b: Float32Array): number {
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0) / largest;
}
