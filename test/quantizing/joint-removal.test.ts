import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats } from '../../src/checkpoint/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { type QuantizedRow, type QuantizeSettings, quantizeEdit } from '../../src/quantizing/index.js';
import { seededRandom } from '../../src/random.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { proposeLayer } from '../fixtures/proposed-layer.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const random = seededRandom(4);
const calibration = Array.from({ length: 4 }, () => ({ ids: Int32Array.from({ length: 16 }, () => random.below(61)) }));
const joint = { scheme: 'int4', groupSize: 4, algorithm: 'gptq' };

let device: Device;
let model: Model;
beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(writeTinyModel(tinyModel(TINY_LLAMA, 5)));
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
});

async function made(settings: QuantizeSettings) {
  const { view, proposal } = await proposeLayer(await quantizeEdit(settings, 'native'), model, { device, calibration });
  const rows = proposal.details!['quantized'] as readonly QuantizedRow[];
  const weights = rows.filter(({ algorithm }) => algorithm !== undefined).map(({ weight }) => weight);
  const values = new Map<string, Float32Array>();
  for (const weight of weights) values.set(weight, await readFloats(view, weight));
  return { rows, values, details: proposal.details!, removed: proposal.removed };
}

const zeros = (values: Float32Array) => values.filter((value) => value === 0).length;

describe('a quantizing step that removes', () => {
  it('leaves out the part of every matrix that was asked for, and says so', async () => {
    const { rows, values, details, removed } = await made({ ...joint, sparsity: 0.5 });
    expect(removed!.map(({ name }) => name)).toEqual([...values.keys()]);
    for (const { name, elements, removed: count } of removed!) {
      expect(elements).toBe(values.get(name)!.length);
      expect(count).toBeLessThanOrEqual(zeros(values.get(name)!));
      expect(count / elements).toBeCloseTo(0.5, 1);
    }
    for (const [name, weight] of values) {
      expect(zeros(weight), name).toBeGreaterThanOrEqual(Math.floor(weight.length / 2));
      expect(rows.find(({ weight: own }) => own === name)!.removed).toBeCloseTo(0.5, 1);
    }
    expect(details['gptq']).toEqual([{ dampPercent: 0.01, staticGroups: true, trueSequential: true }]);
  });

  it('keeps two of every four inputs', async () => {
    const { values, details } = await made({ ...joint, pattern: '2:4' });
    // Masks of neighbours leave no order of its own to the columns: engines read that from the layout's config.
    expect(details['gptq']).toEqual([{ dampPercent: 0.01, staticGroups: false, trueSequential: true }]);
    for (const [name, weight] of values) {
      for (let at = 0; at < weight.length; at += 4)
        expect(zeros(weight.subarray(at, at + 4)), name).toBeGreaterThanOrEqual(2);
    }
  });

  it('removes nothing where nothing was asked for', async () => {
    const { rows, details, removed: nothing } = await made(joint);
    expect(nothing).toBeUndefined();
    for (const { removed } of rows) expect(removed).toBeUndefined();
    expect(details['gptq']).toEqual([{ dampPercent: 0.01, staticGroups: true, trueSequential: true }]);
  });

  it.each<[QuantizeSettings, 'native' | 'gguf', string]>([
    [{ scheme: 'int4', sparsity: 0.5 }, 'native', '--algorithm rtn rounds each weight by itself'],
    [{ scheme: 'q4_0', sparsity: 0.5 }, 'gguf', 'blocks of ggml'],
    [{ algorithm: 'gptq', bitsPerWeight: 4, sparsity: 0.5 }, 'native', 'a budget is divided'],
    [{ ...joint, pattern: 'unstructured' }, 'native', 'does not say how much goes'],
    [{ ...joint, pattern: '2:4', sparsity: 0.6 }, 'native', 'above that'],
    [{ ...joint, pattern: 'checkered' }, 'native', 'no pattern "checkered"'],
  ])('refuses %o as %s before any work', async (settings, format, message) => {
    await expect(quantizeEdit(settings, format)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message),
    });
  });
});
