import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectGradients } from '../../src/evidence/index.js';
import { architectures, openModel } from '../../src/model/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  type FixtureModel,
  fixtureModel,
  randomIds,
  uniform,
  withTensors,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { softmax } from '../reference/architectures/attention.js';
import { type ReferenceModel, type ReferenceTensor, referenceForwards } from '../reference/architectures/index.js';

/** Elements of each weight that are held against central differences, and how near a gradient must come to one. */
const SAMPLES = 2;
const RELATIVE = 1e-3;
const STEP = 1e-4;

/** Mean next-token cross-entropy over every predicted token of the windows, in nats. */
function loss(modelType: string, model: ReferenceModel, windows: readonly Int32Array[]): number {
  let total = 0;
  let count = 0;
  for (const ids of windows) {
    const logits = referenceForwards[modelType]!(model, ids);
    for (let t = 0; t + 1 < ids.length; t += 1) {
      total -= Math.log(softmax([...logits[t]!])[ids[t + 1]!]!);
      count += 1;
    }
  }
  return total / count;
}

/** The same model with one element of one tensor moved, in float64. */
function moved(model: FixtureModel, name: string, index: number, change: number): ReferenceModel {
  const { shape, values } = model.tensors.get(name)!;
  const changed: ReferenceTensor = { shape, values: Float64Array.from(values) };
  (changed.values as Float64Array)[index]! += change;
  return { config: model.config, tensor: (other) => (other === name ? changed : model.tensor(other)) };
}

function difference(
  modelType: string,
  model: FixtureModel,
  windows: readonly Int32Array[],
  at: [string, number],
): number {
  const [up, down] = [STEP, -STEP].map((change) => loss(modelType, moved(model, ...at, change), windows));
  return (up! - down!) / (2 * STEP);
}

/** Weights so small that the loss is a smooth function of each, and norms as they were. */
function calm(model: FixtureModel): FixtureModel {
  const matrices = [...model.tensors].filter(([, { shape }]) => shape.length > 1);
  return withTensors(model, new Map(matrices.map(([name, { values }]) => [name, values.map((value) => value / 2)])));
}

for (const { name: deviceName, available, reason } of await availableDevices()) {
  describe.skipIf(!available)(`on ${deviceName}${available ? '' : ` (${reason})`}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
    });
    afterAll(() => device.close());

    it.each(architectures.names)('%s: every weight’s gradient is that of its float64 definition', async (modelType) => {
      const tiny = calm(fixtureModel(architectureFixtures[modelType]!, {}, 3));
      const vocabulary = tiny.config['vocab_size'] as number;
      // Longer than the windows, and one that is padded.
      const windows = [randomIds(8, vocabulary, 1), randomIds(3, vocabulary, 2)];
      const model = await openModel(writeFixture(tiny));
      const random = uniform(11);
      const calibration = windows.map((ids) => ({ ids }));
      const context = { device, memoryBytes: 2 ** 24, spillFolder: '' };
      const seen = new Set<string>();
      for await (const { block, weights } of collectGradients(model, calibration, new Set(['gradient']), context)) {
        for (const { weight: name, layout } of model.decoder.blocks[block]!.linears) {
          const { gradient, rows, columns } = weights.get(name)!;
          const largest = gradient!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          expect(largest, name).toBeGreaterThan(0);
          seen.add(name);
          for (let sample = 0; sample < SAMPLES; sample += 1) {
            const [row, column] = [Math.floor(random() * rows), Math.floor(random() * columns)];
            const stored = layout === 'in-out' ? column * rows + row : row * columns + column;
            const expected = difference(modelType, tiny, windows, [name, stored]);
            const found = gradient![row * columns + column]!;
            const allowed = RELATIVE * Math.max(Math.abs(expected), largest / 100);
            expect(Math.abs(found - expected), `${name} [${row}, ${column}]: ${found}, not ${expected}`).toBeLessThan(
              allowed,
            );
          }
        }
      }
      await model.checkpoint.close();
      expect([...seen].sort()).toEqual(
        model.decoder.blocks.flatMap(({ linears }) => linears.map(({ weight }) => weight)).sort(),
      );
    });
  });
}
