import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainer } from '../../src/healing/index.js';
import type { HealSettings, TrainState } from '../../src/healing/types.js';
import { openModel, withCacheScales } from '../../src/model/index.js';
import { dequantizeMatrix, quantizeMatrix, schemes } from '../../src/quantization/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { writeTinyModel } from '../reference/tiny-model.js';
import { allSteps, contextOn, type Patient, patient, settingsFor, workOf } from './patient.js';

let ill: Patient;
let device: Device;
beforeAll(async () => {
  ill = await patient();
  device = await openDevice('cpu');
});
afterAll(async () => {
  await device.close();
  await ill.close();
});

const train = (settings: HealSettings, from?: TrainState) =>
  allSteps(trainer.train({ ...workOf(ill, settings), ...(from && { from }) }, contextOn(device)));

describe.each(['distill', 'reconstruct'] as const)('%s', (method) => {
  it('goes on from any of its states bit for bit, and leaves the state it goes on from alone', async () => {
    const settings = settingsFor(ill, { method, steps: 4 });
    const steps = await train(settings);
    for (const [i, { state }] of steps.entries()) {
      const kept = structuredClone(state);
      expect(await train(settings, state), `after step ${i + 1}`).toEqual(steps.slice(i + 1));
      expect(state).toEqual(kept);
    }
  });

  it('takes the same steps when blocks are loaded for each use and states lie in files', async () => {
    const settings = settingsFor(ill, { method, steps: 4 });
    const spilled = contextOn(device, { memoryBytes: 1, spillFolder: ill.student.checkpoint.path });
    expect(await allSteps(trainer.train(workOf(ill, settings), spilled))).toEqual(await train(settings));
  });

  it('leaves nothing on the device, when it ends and when it is stopped', async () => {
    const before = device.memory();
    await train(settingsFor(ill, { method, steps: 2 }));
    expect(device.memory()).toEqual(before);
    const controller = new AbortController();
    const steps = trainer.train(
      workOf(ill, settingsFor(ill, { method })),
      contextOn(device, { signal: controller.signal }),
    );
    await steps.next();
    controller.abort();
    await expect(steps.next()).rejects.toMatchObject({ code: 'interrupted' });
    expect(device.memory()).toEqual(before);
  });

  it('learns: the divergence of the merged weights falls to less than half', async () => {
    const [batchWindows, rank, clipNorm] = [ill.windows.length, 'full' as const, 10];
    const settings = settingsFor(ill, { method, rank, batchWindows, clipNorm, steps: 80, learningRate: 0.02 });
    const steps = await train(settings);
    expect(await divergence(steps.at(-1)!.state, settings)).toBeLessThan((await divergence(undefined, settings)) / 2);
  });
});

it('merges what was trained: the loss of the merged weights is that of the next step', async () => {
  const settings = settingsFor(ill, { klShare: 1, steps: 3, batchWindows: ill.windows.length });
  const steps = await train(settings);
  expect(await divergence(steps[1]!.state, settings)).toBeCloseTo(steps[2]!.loss, 6);
});

/** KL(dense ‖ healed) on all windows, of the weights merged with a state; of the student as it is without one. */
async function divergence(state: TrainState | undefined, settings: HealSettings): Promise<number> {
  const tensors = new Map(ill.pruned.tensors);
  for (const { linears } of ill.student.decoder.blocks) {
    for (const spec of linears) {
      if (state === undefined) continue;
      const { shape, values } = ill.pruned.tensors.get(spec.weight)!;
      tensors.set(spec.weight, { shape, values: trainer.merge(spec, Float32Array.from(values), state, settings) });
    }
  }
  const folder = writeTinyModel({ config: ill.pruned.config, tensors });
  const student = await openModel(folder);
  const once: HealSettings = { ...settings, method: 'distill', klShare: 1, steps: 1 };
  const [first] = await allSteps(trainer.train({ ...workOf(ill, once), student }, contextOn(device)));
  await student.checkpoint.close();
  return first!.loss;
}

describe('QLoRA', () => {
  it('takes the steps of LoRA on the dequantized weights, bit for bit', async () => {
    const well = await patient(0);
    const nf4 = schemes.get('nf4-double')!;
    const tensors = new Map(well.pruned.tensors);
    for (const name of well.linears) {
      const { shape, values } = well.pruned.tensors.get(name)!;
      const [rows, columns] = shape as [number, number];
      const coded = quantizeMatrix(Float32Array.from(values), rows, columns, nf4);
      tensors.set(name, { shape, values: dequantizeMatrix(coded) });
    }
    const folder = writeTinyModel({ config: well.pruned.config, tensors });
    const dequantized = await openModel(folder);
    // Where a weight is rounded to 0 the masks would differ: the student's own zeros are meant.
    const settings = settingsFor(well, { frozen: 'nf4', masked: false });
    const quantized = await allSteps(trainer.train(workOf(well, settings), contextOn(device)));
    const plain = { ...workOf(well, { ...settings, frozen: 'stored' }), student: dequantized };
    expect(quantized).toEqual(await allSteps(trainer.train(plain, contextOn(device))));
    const spec = well.student.decoder.blocks[0]!.linears[0]!;
    const state = quantized.at(-1)!.state;
    const merged = trainer.merge(
      spec,
      Float32Array.from(well.pruned.tensors.get(spec.weight)!.values),
      state,
      settings,
    );
    const base = Float32Array.from(tensors.get(spec.weight)!.values);
    expect(merged).toEqual(trainer.merge(spec, base, state, { ...settings, frozen: 'stored' }));
    await dequantized.checkpoint.close();
    await well.close();
  });

  it('keeps the zeros of the student, and learns where NF4 alone has a zero', async () => {
    const settings = settingsFor(ill, { frozen: 'nf4', steps: 2, learningRate: 0.1 });
    const { state } = (await train(settings)).at(-1)!;
    for (const spec of ill.student.decoder.blocks.flatMap(({ linears }) => linears)) {
      const values = Float32Array.from(ill.pruned.tensors.get(spec.weight)!.values);
      const merged = trainer.merge(spec, values, state, settings);
      expect(merged.map((value) => Number(value === 0))).toEqual(values.map((value) => Number(value === 0)));
    }
  });
});

describe('training', () => {
  it('skips the batches that it is told to, at the rate that is left', async () => {
    const settings = settingsFor(ill, { steps: 3 });
    const whole = await train(settings);
    const [first] = await train(settings, { step: 0, skipped: 1, rateScale: 0.5, arrays: new Map() });
    expect(first!.loss).toBe((await train(settingsFor(ill, { steps: 3, learningRate: 0 })))[1]!.loss);
    expect(first!.learningRate).toBe(whole[0]!.learningRate / 2);
  });

  it('changes faster what needs it more, and leaves alone what is not named', async () => {
    const [much, little, none] = ill.linears as [string, string, string];
    const intensity = new Map([
      [much, 1],
      [little, 0.25],
    ]);
    const settings = settingsFor(ill, { intensity, steps: 1, weightDecay: 0 });
    const { state } = (await train(settings)).at(-1)!;
    const largest = (name: string) =>
      state.arrays.get(`${name}.B`)!.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest(little) / largest(much)).toBeCloseTo(0.25, 4);
    const spec = ill.student.decoder.blocks[0]!.linears.find(({ weight }) => weight === none)!;
    const values = Float32Array.from(ill.pruned.tensors.get(none)!.values);
    expect(trainer.merge(spec, values, state, settings)).toEqual(values);
    expect(trainer.factors(spec, state, settings)).toBeUndefined();
  });

  it('goes past what rounds keys and values, which has no gradient', async () => {
    const settings = settingsFor(ill, { steps: 2 });
    const student = withCacheScales(ill.student, new Map());
    const cached = await allSteps(trainer.train({ ...workOf(ill, settings), student }, contextOn(device)));
    expect(cached).toEqual(await train(settings));
  });

  it('without a teacher learns the next token', async () => {
    const settings = settingsFor(ill, { klShare: 0.7, steps: 2 });
    const { teacher: _, ...alone } = workOf(ill, settings);
    const found = await allSteps(trainer.train({ ...alone, teacher: undefined }, contextOn(device)));
    expect(found).toEqual(await train({ ...settings, klShare: 0 }));
  });

  it.each([
    ['a linear that there is not', { intensity: new Map([['model.layers.9.x', 1]]) }, 'model.layers.9.x'],
    ['nothing to learn', { intensity: new Map() }, 'No linear'],
  ])('refuses %s', async (_, chosen, says) => {
    await expect(train(settingsFor(ill, chosen))).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(says),
    });
  });

  it('refuses text that predicts nothing, and a state of other shapes', async () => {
    const settings = settingsFor(ill);
    const windows = [{ ids: Int32Array.of(1) }];
    const silent = allSteps(trainer.train({ ...workOf(ill, settings), windows }, contextOn(device)));
    await expect(silent).rejects.toMatchObject({ code: 'usage' });
    const { state } = (await train({ ...settings, steps: 1 })).at(-1)!;
    await expect(train({ ...settings, rank: 1 }, state)).rejects.toThrow('the state has one of [8,2]');
  });
});
