import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HealedBlocks } from '../../src/healing/healed-blocks.js';
import { HealingHead } from '../../src/healing/healing-head.js';
import { initialState, learntOf } from '../../src/healing/learnt.js';
import { batchGroups } from '../../src/healing/step-batches.js';
import { type StepGradients, stepGradients } from '../../src/healing/step-gradients.js';
import { TeacherStates } from '../../src/healing/teacher-states.js';
import type { HealSettings, TrainState } from '../../src/healing/types.js';
import { type Model, openModel } from '../../src/model/index.js';
import { type Device, enableGradients, openDevice } from '../../src/tensor/index.js';
import { relativeError } from '../evidence/finite-differences.js';
import { SUBJECTS } from '../evidence/subjects.js';
import { wholeModelGradients } from '../evidence/whole-model.js';
import { type ReferenceModel, referenceLogits } from '../reference/float64-decoder.js';
import { uniform, writeTinyModel } from '../reference/tiny-model.js';
import { contextOn, type Patient, patient, settingsFor } from './patient.js';

let ill: Patient;
beforeAll(async () => {
  ill = await patient();
});
afterAll(() => ill.close());

/** Gradients of one step over all windows, at a state. */
async function gradientsAt(
  state: TrainState,
  settings: HealSettings,
  { device, teacher }: { device: Device; teacher: Model | undefined },
): Promise<StepGradients> {
  await enableGradients();
  const { student, windows } = ill;
  const context = contextOn(device);
  const learnt = learntOf(student, settings);
  const groups = batchGroups(student, windows, { ...settings, batchWindows: windows.length }, device);
  const blocks = await HealedBlocks.open({ student, learnt, settings, arrays: state.arrays }, context);
  const head = await HealingHead.open(student, teacher, device);
  const states = teacher && (await TeacherStates.open(teacher, groups, context));
  const teacherRows = (batch: number) => states!.rowsOf(0, batch, [0]);
  const found = await stepGradients(
    { student, blocks, head },
    groups[0]!,
    { klShare: settings.klShare, teacherRows },
    context,
  );
  blocks.close();
  head.close();
  await states?.close();
  return found;
}

/** A state with values everywhere: at the beginning B is 0, and nothing flows to A. */
function randomState(settings: HealSettings): TrainState {
  const random = uniform(17);
  const state = initialState(learntOf(ill.student, settings), settings.seed);
  for (const { values } of state.arrays.values())
    values.forEach((_, i) => {
      values[i] = 0.4 * random() - 0.2;
    });
  return state;
}

/** The student as it runs at a state, in double precision: M ⊙ (W + (alpha / rank) B A), or M ⊙ (W + D). */
function healedReference(state: TrainState, { rank, alpha, masked }: HealSettings): ReferenceModel {
  const tensors = new Map(ill.pruned.tensors);
  for (const name of ill.linears) {
    const { shape, values } = ill.pruned.tensors.get(name)!;
    const [rows, columns] = shape as [number, number];
    const array = (suffix: string) => state.arrays.get(`${name}.${suffix}`)!.values;
    const change = (row: number, column: number) => {
      if (rank === 'full') return array('D')[row * columns + column]!;
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += array('B')[row * rank + k]! * array('A')[k * columns + column]!;
      return (alpha / rank) * sum;
    };
    const healed = Float64Array.from(values, (value, i) =>
      masked && value === 0 ? 0 : value + change(Math.floor(i / columns), i % columns),
    );
    expect(healed.length).toBe(rows * columns);
    tensors.set(name, { shape, values: healed });
  }
  return { config: ill.pruned.config, tensor: (name) => tensors.get(name) };
}

/** Mean over predictions of share · KL(dense ‖ student) + (1 − share) · cross-entropy. */
function meanLoss(student: ReferenceModel, share: number): number {
  let [total, count] = [0, 0];
  for (const { ids } of ill.windows) {
    const [now, dense] = [student, ill.dense].map((model) => referenceLogits(model, ids).map(logSoftmax)) as [
      Float64Array[],
      Float64Array[],
    ];
    for (let t = 0; t + 1 < ids.length; t++) {
      const divergence = dense[t]!.reduce((sum, log, v) => sum + Math.exp(log) * (log - now[t]![v]!), 0);
      total += share * divergence - (1 - share) * now[t]![ids[t + 1]!]!;
      count += 1;
    }
  }
  return total / count;
}

function logSoftmax(logits: Float64Array): Float64Array {
  const most = Math.max(...logits);
  const sum = most + Math.log(logits.reduce((total, value) => total + Math.exp(value - most), 0));
  return logits.map((value) => value - sum);
}

/** dL/dE of next-token prediction: autograd through a model whose stored weights are E. */
async function denseGradients(healed: ReferenceModel, device: Device): Promise<Map<string, Float32Array>> {
  const tensors = new Map([...ill.pruned.tensors.keys()].map((name) => [name, healed.tensor(name)!]));
  const folder = writeTinyModel({ config: ill.pruned.config, tensors });
  const model = await openModel(folder);
  try {
    return await wholeModelGradients({ model, sequences: ill.windows.map(({ ids }) => ids) }, device);
  } finally {
    await model.checkpoint.close();
    rmSync(folder, { recursive: true });
  }
}

/** By central differences: of every element of every array. */
function differences(state: TrainState, settings: HealSettings): Map<string, Float64Array> {
  const step = 1e-4;
  const found = new Map<string, Float64Array>();
  for (const name of state.arrays.keys()) {
    if (!/\.[ABD]$/.test(name)) continue;
    const { values, shape } = state.arrays.get(name)!;
    const lossAt = (i: number, moved: number) => {
      const changed = Float64Array.from(values) as unknown as Float32Array;
      changed[i]! += moved;
      const arrays = new Map([...state.arrays, [name, { shape, values: changed }]]);
      return meanLoss(healedReference({ ...state, arrays }, settings), settings.klShare);
    };
    found.set(
      name,
      Float64Array.from(values, (_, i) => (lossAt(i, step) - lossAt(i, -step)) / (2 * step)),
    );
  }
  return found;
}

describe.each(SUBJECTS)('gradients of healing on $name', ({ name: deviceName, missing }) => {
  describe.skipIf(missing !== undefined)(missing ?? 'available', () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
    });
    afterAll(() => device.close());

    it.each([
      ['adapters under a mask', { rank: 1, alpha: 1.5, klShare: 0.7 }],
      ['adapters that may fill zeros', { rank: 1, alpha: 1.5, klShare: 1, masked: false }],
    ])('are those of central differences in float64: %s', async (_, chosen) => {
      const settings = settingsFor(ill, chosen);
      const state = randomState(settings);
      const before = device.memory();
      const found = await gradientsAt(state, settings, { device, teacher: ill.teacher });
      expect(device.memory()).toEqual(before);
      expect(found.loss).toBeCloseTo(meanLoss(healedReference(state, settings), settings.klShare), 4);
      for (const [name, expected] of differences(state, settings)) {
        expect(relativeError(found.gradients.get(name)!, expected), name).toBeLessThan(2e-3);
      }
    });

    it('follow from those of autograd on the dense matrix: s G Aᵀ and s Bᵀ G, G = M ⊙ dL/dE, and G itself', async () => {
      const adapters = settingsFor(ill, { klShare: 0 });
      const state = randomState(adapters);
      const healed = healedReference(state, adapters);
      const scale = adapters.alpha / (adapters.rank as number);
      const full = settingsFor(ill, { klShare: 0, rank: 'full' });
      const wholes = new Map(
        ill.linears.map((name) => {
          const { shape, values } = ill.pruned.tensors.get(name)!;
          const change = Float32Array.from(values, (value, i) => healed.tensor(name)!.values[i]! - value);
          return [`${name}.D`, { shape, values: change }];
        }),
      );
      const dense = await denseGradients(healed, device);
      const thin = await gradientsAt(state, adapters, { device, teacher: undefined });
      const thick = await gradientsAt({ ...state, arrays: wholes }, full, { device, teacher: undefined });
      for (const name of ill.linears) {
        const { shape, values } = ill.pruned.tensors.get(name)!;
        const [rows, columns] = shape as [number, number];
        const masked = Float64Array.from(dense.get(name)!, (value, i) => (values[i] === 0 ? 0 : value));
        expect(relativeError(thick.gradients.get(`${name}.D`)!, masked), name).toBeLessThan(1e-4);
        const [left, right] = ['B', 'A'].map((suffix) => state.arrays.get(`${name}.${suffix}`)!.values) as [
          Float32Array,
          Float32Array,
        ];
        const rank = adapters.rank as number;
        const ofLeft = new Float64Array(rows * rank);
        const ofRight = new Float64Array(rank * columns);
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++)
            for (let k = 0; k < rank; k++) {
              ofLeft[i * rank + k]! += scale * masked[i * columns + j]! * right[k * columns + j]!;
              ofRight[k * columns + j]! += scale * left[i * rank + k]! * masked[i * columns + j]!;
            }
        expect(relativeError(thin.gradients.get(`${name}.B`)!, ofLeft), name).toBeLessThan(1e-4);
        expect(relativeError(thin.gradients.get(`${name}.A`)!, ofRight), name).toBeLessThan(1e-4);
      }
    });

    it('end with the lowest block that learns, and are of the linears that learn alone', async () => {
      const [first, last] = [ill.linears[0]!, ill.linears.at(-1)!];
      for (const names of [[last], [first, last]]) {
        const settings = settingsFor({ linears: names });
        const found = await gradientsAt(randomState(settings), settings, { device, teacher: ill.teacher });
        expect([...found.gradients.keys()].sort()).toEqual(names.flatMap((name) => [`${name}.A`, `${name}.B`]).sort());
      }
    });
  });
});
