import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRows } from '../../src/ggml/index.js';
import { layouts } from '../../src/layouts/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import type { SettleContext } from '../../src/pruning/index.js';
import { dequantizeMatrix, quantizeMatrix, schemeOf } from '../../src/quantization/index.js';
import { assign } from '../../src/quantizing/assign.js';
import { formsWithinBudget } from '../../src/quantizing/budget/choose-forms.js';
import { groupDivergences } from '../../src/quantizing/budget/group-divergences.js';
import { publishedBytes } from '../../src/quantizing/budget/published-bytes.js';
import { sensitivities } from '../../src/quantizing/budget/sensitivity.js';
import { tableDivergences } from '../../src/quantizing/budget/table-costs.js';
import { bitsPerWeight, type MatrixForm } from '../../src/quantizing/forms.js';
import { type Format, type QuantizeSettings, quantizeEdit } from '../../src/quantizing/index.js';
import { seededRandom } from '../../src/random.js';
import { type Device, decodeToF32, openDevice } from '../../src/tensor/index.js';
import { proposeLayer } from '../fixtures/proposed-layer.js';
import { type ReferenceModel, referenceLogits } from '../reference/float64-decoder.js';
import { quantizeOurs } from '../reference/quantization/our-quantization.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const CONFIG = { ...TINY_LLAMA, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2 };
const reference = tinyModel(CONFIG, 5);
const random = seededRandom(3);
const calibration = Array.from({ length: 3 }, () => ({ ids: Int32Array.from({ length: 16 }, () => random.below(61)) }));

let device: Device;
let model: Model;
let context: SettleContext;
beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(writeTinyModel(reference));
  context = {
    model,
    device,
    target: 1,
    calibration,
    marks: {} as SettleContext['marks'],
    spared: {} as SettleContext['spared'],
    memoryBytes: 2 ** 28,
    spillFolder: '',
    report: () => undefined,
  };
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
});

const meanBits = (forms: readonly MatrixForm[]) => {
  const open = forms.filter(({ spec, form }) => spec !== undefined || form.kind === 'blocks');
  const weights = open.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  return open.reduce((sum, form) => sum + form.rows * form.columns * bitsPerWeight(form, 32), 0) / weights;
};
const formOf = (forms: readonly MatrixForm[], weight: string) => forms.find((form) => form.weight === weight)!.form;

/** Bytes that a scheme for all takes in a format. */
const sizeIn = (format: Format, settings: QuantizeSettings) =>
  publishedBytes(model, assign(model, settings), { format, hasCacheScales: false });

describe('formsWithinBudget', () => {
  it.each([3.5, 4.5, 6])('meets %d bits a weight within 1 %%, never above', async (bits) => {
    const { forms, spent } = await formsWithinBudget({ bitsPerWeight: bits }, { format: 'native' }, context);
    expect(meanBits(forms) / bits).toBeGreaterThan(0.99);
    expect(meanBits(forms) / bits).toBeLessThanOrEqual(1);
    expect(spent.bytes / spent.budgetBytes).toBeCloseTo(meanBits(forms) / bits, 6);
    expect(spent.reason).toBeUndefined();
  });

  it.each(['native', 'compressed-tensors', 'gptq'] as const)(
    'meets a size of everything that %s stores',
    async (format) => {
      const all = (scheme: string) => sizeIn(format, { scheme, groupSize: 32 });
      const [least, most] = [await all('int4'), await all('int8')];
      const sizeBytes = Math.floor(0.7 * least + 0.3 * most);
      const { forms, spent } = await formsWithinBudget({ sizeBytes }, { format }, context);
      expect(spent.published).toEqual({ bytes: expect.any(Number), budgetBytes: sizeBytes });
      expect(spent.published!.bytes).toBeLessThanOrEqual(sizeBytes);
      expect(spent.published!.bytes / sizeBytes).toBeGreaterThan(0.98);
      expect(await publishedBytes(model, forms, { format, hasCacheScales: false })).toBe(spent.published!.bytes);
    },
  );

  it.each(['native', 'compressed-tensors', 'gptq'] as const)(
    'knows before the work what %s will take',
    async (format) => {
      for (const settings of [{ scheme: 'int4' }, { scheme: 'int8', asymmetric: true, groupSize: 32 }]) {
        const { view } = await proposeLayer(await quantizeEdit(settings, format), model, { device });
        const written = format === 'native' ? view.raw : await (await layouts.load(format)).write(view, model, {});
        const bytes = [...written.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
        expect(await sizeIn(format, settings)).toBe(bytes);
      }
    },
  );

  it('gives all one form without a text, the largest that fits, and says why', async () => {
    const without = { ...context, calibration: [] };
    const { forms, spent } = await formsWithinBudget({ bitsPerWeight: 5 }, { format: 'native' }, without);
    const open = forms.filter(({ spec }) => spec !== undefined);
    const scheme = schemeOf('int4', { groupSize: 32, asymmetric: true });
    for (const { form } of open) expect(form).toEqual({ kind: 'scheme', scheme });
    expect(spent.reason).toContain('--calibration');
    expect((8 * spent.bytes) / spent.weights).toBe(4.75);
    await expect(formsWithinBudget({ bitsPerWeight: 2 }, { format: 'native' }, without)).rejects.toThrow('are 2.25');
  });

  it('takes groups that whole ones of lie on each GPU', async () => {
    const budget = { bitsPerWeight: 4.6 };
    const limits = { tensorParallel: 2 };
    const { forms } = await formsWithinBudget(budget, { format: 'compressed-tensors', limits }, context);
    for (const { form, columns } of forms) {
      if (form.kind === 'scheme') expect((columns / 2) % (form.scheme.groupSize ?? 1)).toBe(0);
    }
  });

  it('gives one form to what vLLM loads as one layer, and each its own elsewhere', async () => {
    const { forms } = await formsWithinBudget({ bitsPerWeight: 3.6 }, { format: 'gptq' }, context);
    for (const { linears } of model.decoder.blocks) {
      const of = (roles: readonly string[]) =>
        linears.filter(({ role }) => roles.includes(role)).map(({ weight }) => formOf(forms, weight));
      for (const fused of [of(['q', 'k', 'v']), of(['gate', 'up'])])
        for (const form of fused) expect(form).toEqual(fused[0]);
    }
  });

  it('leaves overrides as they are, and out of the budget', async () => {
    const settings = { bitsPerWeight: 3.5, keep: { '*layers.0*': 'int8' } };
    const { forms } = await formsWithinBudget(settings, { format: 'native' }, context);
    const overridden = forms.filter(({ block }) => block === 0);
    for (const { form } of overridden) expect(form).toEqual({ kind: 'scheme', scheme: schemeOf('int8') });
    expect(meanBits(forms.filter(({ block }) => block !== 0))).toBeLessThanOrEqual(3.5);
  });

  it('takes blocks of ggml for a GGUF', async () => {
    const { forms } = await formsWithinBudget({ bitsPerWeight: 5 }, { format: 'gguf' }, context);
    // Rows of 64 and 128 are no whole number of blocks of 256.
    const types = new Set(forms.map(({ form }) => form.kind === 'blocks' && form.dtype));
    for (const type of types) expect(['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'F16']).toContain(type);
    expect(types.size).toBeGreaterThan(1);
    expect(meanBits(forms)).toBeLessThanOrEqual(5);
    expect(meanBits(forms)).toBeGreaterThan(4.95);
  });

  it('refuses a budget below the fewest bits, and says what they are', async () => {
    await expect(formsWithinBudget({ bitsPerWeight: 2 }, { format: 'native' }, context)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('the fewest that this format has are 2.25'),
    });
  });

  it('chooses the same again', async () => {
    const [once, again] = [
      await formsWithinBudget({ bitsPerWeight: 4 }, { format: 'native' }, context),
      await formsWithinBudget({ bitsPerWeight: 4 }, { format: 'native' }, context),
    ];
    expect(again).toEqual(once);
  });
});

describe('sensitivities', () => {
  it('are tr(D G Dᵀ) / tr(W G Wᵀ), of the inputs that the reference model gives', async () => {
    const name = 'model.layers.1.mlp.gate_proj.weight';
    const scheme = schemeOf('int3');
    const spec = model.decoder.blocks[1]!.linears.find(({ weight }) => weight === name)!;
    const form = { kind: 'scheme', scheme } as const;
    const matrix = { weight: name, rows: spec.rows, columns: spec.columns, spec, block: 1, form };
    const tried = [{ members: [{ matrix, forms: [form] }], place: 0 }];
    const found = await sensitivities(tried, { search: 'absmax' }, context);
    const dense = Float32Array.from(reference.tensor(name)!.values);
    const rounded = dequantizeMatrix(quantizeMatrix(dense, spec.rows, spec.columns, scheme));
    const energy = energyOf(1, 'gate-up');
    const expected = energy(dense.map((value, i) => value - rounded[i]!)) / energy(dense);
    expect(found.get(name)!.left).toBe(1);
    expect(found.get(name)!.errors[0]! / expected).toBeCloseTo(1, 3);
  });

  it('say what GPTQ leaves of the error of plain rounding', async () => {
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const scheme = schemeOf('int3', { groupSize: 32 });
    const spec = model.decoder.blocks[0]!.linears.find(({ weight }) => weight === name)!;
    const form = { kind: 'scheme', scheme } as const;
    const matrix = { weight: name, rows: spec.rows, columns: spec.columns, spec, block: 0, form };
    const tried = [{ members: [{ matrix, forms: [form] }], place: 0 }];
    const found = await sensitivities(tried, { search: 'absmax', algorithm: 'gptq' }, context);
    // The first block's inputs are those of the model as it is, so that its own run shows the same.
    const settings = { algorithm: 'gptq', scheme, options: { trueSequential: false }, calibration, device };
    const made = await quantizeOurs(model, settings);
    const dense = Float32Array.from(reference.tensor(name)!.values);
    const energy = energyOf(0, 'qkv');
    const lost = (rounded: Float32Array) => energy(dense.map((value, i) => value - rounded[i]!));
    const nearest = dequantizeMatrix(quantizeMatrix(dense, spec.rows, spec.columns, scheme));
    const expected = lost(dequantizeMatrix(made.matrices.get(name)!)) / lost(nearest);
    expect(expected).toBeLessThan(1);
    expect(found.get(name)!.left / expected).toBeCloseTo(1, 2);
  });
});

/** Of rows [rows, inputs], the sum of their squared outputs over the inputs that the reference model gives a linear. */
function energyOf(block: number, input: string) {
  const inputs: Float64Array[] = [];
  for (const { ids } of calibration) {
    referenceLogits(reference, ids, (layer, name, vectors) => {
      if (layer === block && name === input) inputs.push(...vectors);
    });
  }
  return (values: Float32Array) =>
    inputs.reduce((sum, x) => {
      for (let start = 0; start < values.length; start += x.length) {
        const dot = x.reduce((total, value, j) => total + values[start + j]! * value, 0);
        sum += dot * dot;
      }
      return sum;
    }, 0);
}

describe('tableDivergences', () => {
  it('are the mean KL of predictions with the embedding rounded, as the reference model gives it', async () => {
    const name = 'model.embed_tokens.weight';
    const { values, shape } = reference.tensor(name)!;
    const [rows, columns] = shape as [number, number];
    const form = { kind: 'blocks', dtype: 'Q4_0' } as const;
    const groups = [{ members: [{ matrix: { weight: name, rows, columns, form }, forms: [form] }], place: 0 }];
    const before = device.memory();
    const [found] = await tableDivergences(groups, { search: 'absmax' }, context);
    expect(device.memory()).toEqual(before);
    const rounded = decodeToF32(encodeRows('Q4_0', Float32Array.from(values), columns), 'Q4_0');
    const changed: ReferenceModel = {
      config: reference.config,
      tensor: (tensor) => (tensor === name ? { shape, values: rounded } : reference.tensor(tensor)),
    };
    expect(found! / meanDivergence(changed)).toBeCloseTo(1, 2);
  });
});

describe('groupDivergences', () => {
  it('are the mean KL of predictions with one group rounded, as the reference model gives it', async () => {
    const scheme = schemeOf('int3');
    const form = { kind: 'scheme', scheme } as const;
    const names = ['model.layers.0.self_attn.q_proj.weight', 'model.layers.1.mlp.down_proj.weight'];
    const groups = names.map((weight) => {
      const block = model.decoder.blocks.find(({ linears }) => linears.some((spec) => spec.weight === weight))!;
      const spec = block.linears.find((linear) => linear.weight === weight)!;
      const matrix = { weight, rows: spec.rows, columns: spec.columns, spec, block: block.index, form };
      return { members: [{ matrix, forms: [form] }], place: 0 };
    });
    const before = device.memory();
    const found = await groupDivergences(groups, { search: 'absmax' }, context);
    expect(device.memory()).toEqual(before);
    for (const [i, name] of names.entries()) {
      const { values, shape } = reference.tensor(name)!;
      const [rows, columns] = shape as [number, number];
      const rounded = dequantizeMatrix(quantizeMatrix(Float32Array.from(values), rows, columns, scheme));
      const changed: ReferenceModel = {
        config: reference.config,
        tensor: (tensor) => (tensor === name ? { shape, values: rounded } : reference.tensor(tensor)),
      };
      expect(found[i]! / meanDivergence(changed)).toBeCloseTo(1, 2);
    }
  });
});

function meanDivergence(changed: ReferenceModel): number {
  const all = calibration.flatMap(({ ids }) => {
    const now = referenceLogits(changed, ids).map(logProbabilities);
    return referenceLogits(reference, ids).map((logits, t) => {
      const base = logProbabilities(logits);
      return base.reduce((sum, value, token) => sum + Math.exp(value) * (value - now[t]![token]!), 0);
    });
  });
  return all.reduce((sum, value) => sum + value, 0) / all.length;
}

function logProbabilities(logits: Float64Array): Float64Array {
  const largest = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value - largest), 0)) + largest;
  return logits.map((value) => value - total);
}
