import { describe, expect, it } from 'vitest';
import { layouts } from '../../src/layouts/index.js';
import { type Scheme, schemeOf } from '../../src/quantization/index.js';
import { codedModel, ROUND_SIZES } from './coded-model.js';

const f16 = { scaleDtype: 'F16' } as const;
const int4 = schemeOf('int4', { groupSize: 32, ...f16 });
const isProjection = (weight: string) => weight.includes('_proj');
const all = (scheme: Scheme) => (weight: string) => (isProjection(weight) ? scheme : undefined);

/** What `check` makes of a model: its error, or undefined. */
async function checked(
  layoutName: string,
  schemeFor: (weight: string) => Scheme | undefined,
  { sizes = ROUND_SIZES, limits = {} }: { sizes?: Record<string, unknown>; limits?: { tensorParallel?: number } } = {},
) {
  const layout = await layouts.load(layoutName);
  const { view, decoder } = await codedModel({ schemeOf: schemeFor, sizes });
  try {
    layout.check({ decoder }, view.coded, limits);
    return undefined;
  } catch (error) {
    // Whatever the check refuses, writing refuses before it reads.
    if (limits.tensorParallel === undefined) {
      await expect(layout.write({ ...view, raw: { ...view.raw, read: unread } }, { decoder }, {})).rejects.toThrow();
    }
    return error;
  }
}

async function unread(): Promise<Uint8Array> {
  throw new Error('a weight was read');
}

const EVERY = layouts.names;

describe('rules of engines', () => {
  it.each(EVERY)('%s: q, k and v must be alike, and gate and up', async (name) => {
    expect(await checked(name, all(int4))).toBeUndefined();
    const odd = (part: string) => (weight: string) => (weight.includes(part) ? undefined : all(int4)(weight));
    for (const part of ['k_proj', 'up_proj']) {
      const problem = {
        code: 'unsupported',
        tensor: expect.stringContaining(`layers.0`),
        message: expect.stringContaining('rule fused-layers'),
      };
      expect(await checked(name, odd(`layers.0.${part === 'k_proj' ? 'self_attn' : 'mlp'}.${part}`))).toMatchObject(
        problem,
      );
    }
    expect(await checked(name, odd('layers.0.mlp.down_proj'))).toBeUndefined();
  });

  it.each(EVERY)('%s: groups must divide the inputs', async (name) => {
    const sizes = { hidden_size: 64, intermediate_size: 96 };
    const wide = schemeOf('int4', { groupSize: 64, ...f16 });
    expect(await checked(name, all(wide), { sizes })).toMatchObject({
      code: 'unsupported',
      tensor: 'model.layers.0.mlp.down_proj.weight',
      message: expect.stringContaining('rule group-divides-inputs'),
    });
    expect(await checked(name, all(wide), { sizes: { ...sizes, intermediate_size: 128 } })).toBeUndefined();
  });

  it.each(EVERY)('%s: as many GPUs as whole groups and words can be divided among', async (name) => {
    expect(await checked(name, all(int4), { limits: { tensorParallel: 2 } })).toBeUndefined();
    expect(await checked(name, all(int4), { limits: { tensorParallel: 4 } })).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('rule tensor-parallel'),
    });
  });

  it.each(EVERY)('%s: has no form for NF4, nor for a quantized embedding', async (name) => {
    expect(await checked(name, all(schemeOf('nf4', { groupSize: 32 })))).toMatchObject({
      message: expect.stringContaining('rule codings'),
    });
    const layout = await layouts.load(name);
    const { view, decoder } = await codedModel({ schemeOf: all(int4), sizes: ROUND_SIZES });
    const record = view.coded.get('model.layers.0.self_attn.q_proj.weight')!;
    const embedding = new Map([...view.coded, ['model.embed_tokens.weight', record] as const]);
    expect(() => layout.check({ decoder }, embedding)).toThrow(/rule linear-layers.*embed_tokens/s);
    const corrected = new Map([['model.layers.0.mlp.down_proj.weight', { ...record, correction: 4 }]]);
    expect(() => layout.check({ decoder }, corrected)).toThrow(/rule codings.*correction of rank 4/s);
    const conv = new Map([['model.layers.0.mlp.down_proj.weight', { ...record, layout: 'in-out' as const }]]);
    expect(() => layout.check({ decoder }, conv)).toThrow(/rule codings.*transposed/s);
  });

  it('GPTQ: 2, 3, 4 or 8 bits in multiples of 32, with scales in F16', async () => {
    const six = schemeOf('int6', { groupSize: 32, ...f16 });
    expect(await checked('gptq', all(six))).toMatchObject({ message: expect.stringContaining('rule gptq-schemes') });
    const wide = schemeOf('int4', { groupSize: 32, scaleDtype: 'F32' });
    expect(await checked('gptq', all(wide))).toMatchObject({
      message: expect.stringMatching(/rule gptq-schemes.*F32/s),
    });
    const w8a8 = schemeOf('w8a8', f16);
    expect(await checked('gptq', all(w8a8))).toMatchObject({ message: expect.stringMatching(/inputs in int8/) });
    const sizes = { hidden_size: 64, intermediate_size: 80 };
    const channel = schemeOf('int4', { groupSize: 'channel', ...f16 });
    expect(await checked('gptq', all(channel), { sizes })).toMatchObject({
      tensor: 'model.layers.0.mlp.gate_proj.weight',
      message: expect.stringContaining('rule multiples-of-32'),
    });
  });

  it('AWQ: 4 bits in groups of one size, 8 outputs to a word, the head dense', async () => {
    const problem = { message: expect.stringContaining('rule awq-schemes') };
    expect(await checked('awq', all(schemeOf('int8', { groupSize: 32, ...f16 })))).toMatchObject(problem);
    expect(await checked('awq', all(schemeOf('int4', { groupSize: 'channel', ...f16 })))).toMatchObject(problem);
    expect(await checked('awq', all(schemeOf('int4', { groupSize: 32, scaleDtype: 'BF16' })))).toMatchObject(problem);
    const smaller = schemeOf('int4', { groupSize: 16, ...f16 });
    expect(await checked('awq', (weight) => (weight.includes('down') ? smaller : all(int4)(weight)))).toMatchObject(
      problem,
    );
    expect(await checked('awq', () => int4)).toMatchObject({ ...problem, tensor: 'lm_head.weight' });
    const four = schemeOf('int4', { groupSize: 4, ...f16 });
    expect(await checked('awq', all(four), { sizes: { hidden_size: 64, intermediate_size: 100 } })).toMatchObject({
      message: expect.stringContaining('rule outputs-of-8'),
    });
  });

  it('compressed-tensors: E4M3, no integers in blocks, whole blocks where matrices are stacked', async () => {
    const name = 'compressed-tensors';
    const schemes = { message: expect.stringContaining('rule schemes') };
    expect(await checked(name, all(schemeOf('fp8-e5m2')))).toMatchObject(schemes);
    expect(await checked(name, all(schemeOf('int8', { blockShape: [16, 16] })))).toMatchObject(schemes);
    expect(await checked(name, all(schemeOf('int8', { groupSize: 'tensor' })))).toMatchObject(schemes);
    const blocks = schemeOf('fp8', { blockShape: [64, 64] });
    expect(await checked(name, all(blocks))).toMatchObject({
      tensor: 'model.layers.0.self_attn.k_proj.weight',
      message: expect.stringContaining('rule blocks-divide-outputs'),
    });
  });

  it('says what vLLM does not load, and what it rounds again', async () => {
    const layout = await layouts.load('compressed-tensors');
    const noticesFor = async (scheme: Scheme) => {
      const model = await codedModel({ schemeOf: all(scheme), sizes: { ...ROUND_SIZES, num_hidden_layers: 1 } });
      return (await layout.write(model.view, model, model.config)).notices;
    };
    expect(await noticesFor(int4)).toEqual([]);
    expect(await noticesFor(schemeOf('int3', { groupSize: 32 }))).toEqual([expect.stringContaining('not of 3')]);
    expect(await noticesFor(schemeOf('w8a8-fp8', { groupSize: 'tensor' }))).toEqual([
      expect.stringContaining('rounds again'),
    ]);
  });
});
