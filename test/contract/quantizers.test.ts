import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MemoryValues, memoryLayer, overlay, readFloats } from '../../src/checkpoint/index.js';
import { type LinearSpec, type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { dequantizeMatrix, type Scheme, schemeOf } from '../../src/quantization/index.js';
import { quantizers } from '../../src/quantizing/index.js';
import { type Device, encodeFromF32, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, randomIds, writeFixture } from '../fixtures/architectures/index.js';
import { quantizeOurs } from '../reference/quantization/our-quantization.js';

/** smoothquant is for rounded activations alone. */
const schemeFor = (name: string): Scheme =>
  name === 'smoothquant' ? schemeOf('w8a8') : schemeOf('int4', { groupSize: 8 });

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const openFixture = (modelType: string) => openModel(writeFixture(fixtureModel(architectureFixtures[modelType]!)));

/** Windows of different lengths: batches with padding, which must not count. */
function textFor({ decoder }: Model) {
  return [16, 9, 16].map((length, seed) => ({ ids: Int32Array.from(randomIds(length, decoder.vocabulary, seed + 1)) }));
}

const linearsOf = ({ decoder }: Model) => decoder.blocks.flatMap(({ linears }) => linears);
const quantizable = (model: Model) => linearsOf(model).filter(({ role }) => role !== 'router');

/** A linear's weight [rows, columns] as it is read from a model. */
async function weightOf({ checkpoint }: Model, { weight, layout, rows, columns }: LinearSpec): Promise<Float32Array> {
  const stored = await readFloats(checkpoint, weight);
  if (layout !== 'in-out') return stored;
  return stored.map((_, i) => stored[(i % columns) * rows + Math.floor(i / columns)]!);
}

/**
 * Without text nothing of an architecture shows but how it stores its matrices; scales go where smoothing.test.ts looks at every one
 * of them. A new algorithm runs on all.
 */
const FEWER: Readonly<Record<string, readonly string[]>> = {
  rtn: ['llama', 'gpt2', 'mixtral'],
  hqq: ['llama', 'gpt2', 'mixtral'],
  awq: ['gemma2', 'phi3', 'gpt2', 'mixtral'],
  smoothquant: ['gemma2', 'phi3', 'gpt2', 'mixtral'],
};

describe.each(quantizers.names)('algorithm %s', (algorithm) => {
  it.each(FEWER[algorithm] ?? Object.keys(architectureFixtures))(
    '%s: every matrix gets codes that stand for what the model then has',
    async (modelType) => {
      const model = await openFixture(modelType);
      const held = device.memory().tensors;
      const made = await quantizeOurs(model, {
        algorithm,
        scheme: schemeFor(algorithm),
        calibration: textFor(model),
        device,
      });
      expect(device.memory().tensors, 'tensors left on the device').toBe(held);
      const wanted = quantizable(model).map(({ weight }) => weight);
      expect([...made.matrices.keys()].sort()).toEqual([...wanted].sort());
      expect(made.reports.map(({ weight }) => weight).sort()).toEqual([...wanted].sort());
      for (const spec of quantizable(model)) {
        const matrix = made.matrices.get(spec.weight)!;
        expect([matrix.rows, matrix.columns]).toEqual([spec.rows, spec.columns]);
        expect(await weightOf(made.model, spec), spec.weight).toEqual(dequantizeMatrix(matrix));
      }
      for (const values of made.values.values()) expect(values.every(Number.isFinite)).toBe(true);
      await model.checkpoint.close();
    },
  );

  it('gives the same codes for the same input', async () => {
    const model = await openFixture('llama');
    const settings = { algorithm, scheme: schemeFor(algorithm), calibration: textFor(model), device };
    const [one, two] = [await quantizeOurs(model, settings), await quantizeOurs(model, settings)];
    expect([...one.matrices]).toEqual([...two.matrices]);
    expect([...one.values]).toEqual([...two.values]);
    await model.checkpoint.close();
  });

  it('keeps weights that are gone at 0, and changes no matrix without a scheme', async () => {
    const model = await openFixture('llama');
    const pruned = await withoutEveryThird(model);
    const left = quantizable(model)[0]!.weight;
    const made = await quantizeOurs(pruned, {
      algorithm,
      scheme: ({ weight }) => (weight === left ? undefined : schemeFor(algorithm)),
      calibration: textFor(model),
      device,
    });
    expect(made.matrices.has(left)).toBe(false);
    expect(await readFloats(made.model.checkpoint, left)).toEqual(await readFloats(pruned.checkpoint, left));
    for (const spec of quantizable(model).slice(1)) {
      const values = await weightOf(made.model, spec);
      const before = await weightOf(pruned, spec);
      expect(
        [...values.keys()].filter((i) => before[i] === 0 && values[i] !== 0),
        spec.weight,
      ).toEqual([]);
      expect(values.some((value) => value !== 0)).toBe(true);
    }
    await model.checkpoint.close();
  });

  it('keeps a mask under zero points too', async () => {
    if (algorithm === 'smoothquant') return;
    const model = await openFixture('mistral');
    const pruned = await withoutEveryThird(model);
    const scheme = schemeOf('int3', { groupSize: 16, asymmetric: true });
    const made = await quantizeOurs(pruned, { algorithm, scheme, calibration: textFor(model), device });
    for (const spec of quantizable(model)) {
      const [values, before] = [await weightOf(made.model, spec), await weightOf(pruned, spec)];
      expect(
        [...values.keys()].filter((i) => before[i] === 0 && values[i] !== 0),
        spec.weight,
      ).toEqual([]);
    }
    await model.checkpoint.close();
  });
});

/** The model with every third weight of its matrices gone. */
async function withoutEveryThird(model: Model): Promise<Model> {
  const values = new Map<string, MemoryValues>();
  for (const { weight } of quantizable(model)) {
    const info = model.checkpoint.tensors.get(weight)!;
    const pruned = (await readFloats(model.checkpoint, weight)).map((value, i) => (i % 3 === 0 ? 0 : value));
    values.set(weight, { info, bytes: encodeFromF32(pruned, info.dtype) });
  }
  return withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(), values)]));
}
