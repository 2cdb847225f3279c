import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectures, type Decoder, describeModel, openModel } from '../../src/model/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  type ConfigKeys,
  type FixtureModel,
  fixtureModel,
  randomIds,
  respelled,
  withLeftovers,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { checkpointOf } from '../model/checkpoint-of.js';
import { logitsOf } from '../model/logits.js';
import { referenceForwards } from '../reference/architectures/index.js';

/** Largest difference of logits over their largest magnitude. The two kinds of gelu are 1.2e-4 apart. */
const TOLERANCE = 2e-5;

interface Case {
  readonly name: string;
  readonly model: FixtureModel;
}

/** The plain checkpoint of an architecture, its variants and its other spellings. */
function casesOf(modelType: string): Case[] {
  const fixture = architectureFixtures[modelType]!;
  const plain = fixtureModel(fixture);
  return [
    { name: 'as published', model: plain },
    ...Object.entries(fixture.variants).map(([name, difference]) => ({
      name,
      model: fixtureModel(fixture, difference),
    })),
    ...Object.entries(fixture.spellings ?? {}).map(([name, spelling]) => ({ name, model: respelled(plain, spelling) })),
  ];
}

/** Every tensor name that a decoder mentions, with repetitions. */
function mentioned(decoder: Decoder): string[] {
  const { embedding, positions, finalNorm, finalNormBias, head, tied, blocks } = decoder;
  const named = blocks.flatMap(({ linears, vectors }) => [
    ...linears.flatMap(({ weight, bias }) => [weight, bias]),
    ...vectors.map(({ tensor }) => tensor),
  ]);
  return [embedding, positions, finalNorm, finalNormBias, tied ? undefined : head, ...named].filter(
    (name) => name !== undefined,
  );
}

const describeFixture = ({ config, tensors }: Pick<FixtureModel, 'config' | 'tensors'>) =>
  describeModel(checkpointOf(tensors), { ...config } as Parameters<typeof describeModel>[1]);

it('every architecture has a fixture and a float64 forward pass, and the other way round', () => {
  expect([...architectures.names].sort()).toEqual(Object.keys(architectureFixtures).sort());
  expect(Object.keys(referenceForwards).sort()).toEqual(Object.keys(architectureFixtures).sort());
});

describe.each(architectures.names)('architecture %s', async (modelType) => {
  const architecture = await architectures.load(modelType);
  const fixture = architectureFixtures[modelType]!;
  const plain = fixtureModel(fixture);
  const cases = casesOf(modelType);

  it('is registered under its model_type', () => {
    expect(architecture.modelType).toBe(modelType);
  });

  it.each(cases)('claims every tensor exactly once: $name', async ({ model }) => {
    const decoder = await describeFixture(model);
    expect(mentioned(decoder).sort()).toEqual([...model.tensors.keys()].sort());
  });

  it.each(cases)('has linears and vectors of the shapes that are stored: $name', async ({ model }) => {
    const { blocks, hidden } = await describeFixture(model);
    expect(blocks.map(({ index }) => index)).toEqual(blocks.map((_, i) => i));
    const shapeOf = (name: string) => model.tensors.get(name)!.shape;
    for (const block of blocks) {
      for (const { weight, bias, rows, columns, layout, segments } of block.linears) {
        expect(shapeOf(weight)).toEqual(layout === 'in-out' ? [columns, rows] : [rows, columns]);
        if (bias !== undefined) expect(shapeOf(bias)).toEqual([rows]);
        if (segments !== undefined) expectTiled(segments, rows);
      }
      for (const { tensor, axis } of block.vectors) {
        expect(shapeOf(tensor)).toEqual([axis === 'hidden' ? hidden : block.headDim]);
      }
    }
  });

  it('passes over what old exporters wrote', async () => {
    const cluttered = withLeftovers(plain, fixture);
    const decoder = await describeFixture(cluttered);
    expect(mentioned(decoder).sort()).toEqual([...plain.tensors.keys()].sort());
    expect(cluttered.tensors.size).toBeGreaterThanOrEqual(plain.tensors.size);
  });

  it.each([...plain.tensors.keys()])('names %s when it is missing', async (tensor) => {
    const rest = new Map([...plain.tensors].filter(([name]) => name !== tensor));
    const refused = describeFixture({ config: plain.config, tensors: rest });
    await expect(refused).rejects.toMatchObject({ code: 'unreadable' });
    await expect(refused).rejects.toThrow(tensor);
  });

  it.each([...plain.tensors.keys()])('names %s when its shape is another', async (tensor) => {
    const { shape, values } = plain.tensors.get(tensor)!;
    const wider = new Map([...plain.tensors, [tensor, { shape: [shape[0]! + 1, ...shape.slice(1)], values }]]);
    const refused = describeFixture({ config: plain.config, tensors: wider });
    await expect(refused).rejects.toMatchObject({ code: 'unreadable', tensor });
    await expect(refused).rejects.toThrow(`config.json implies [${shape.join(', ')}]`);
  });

  it('names a tensor that nothing explains', async () => {
    const extra = ['adapter.weight', { shape: [1], values: new Float32Array(1) }] as const;
    const refused = describeFixture({ config: plain.config, tensors: new Map([...plain.tensors, extra]) });
    await expect(refused).rejects.toMatchObject({ code: 'unreadable', tensor: 'adapter.weight' });
  });

  it.each([
    { key: 'a_key_of_tomorrow', value: 1 },
    { key: 'quantization_config', value: { quant_method: 'gptq' } },
    { key: 'is_encoder_decoder', value: true },
    { key: 'architectures', value: ['SomethingForSequenceClassification'] },
  ])('refuses $key = $value by name', async ({ key, value }) => {
    const refused = describeFixture({ config: { ...plain.config, [key]: value }, tensors: plain.tensors });
    await expect(refused).rejects.toMatchObject({ code: 'unsupported' });
    await expect(refused).rejects.toThrow(key);
  });

  it.each(sizesOf(plain.config))('refuses a %s that is no size', async (key) => {
    for (const value of [0, -1, 1.5, '8', 2 ** 40]) {
      const refused = describeFixture({ config: { ...plain.config, [key]: value }, tensors: plain.tensors });
      await expect(refused, String(value)).rejects.toMatchObject({ code: 'unreadable' });
    }
  });
});

/** The keys of a config.json that sizes of tensors follow from. */
function sizesOf(config: ConfigKeys): string[] {
  return Object.keys(config).filter(
    (key) => /^(vocab_size|hidden_size|n_embd|num_.*(layers|heads)|n_layer|n_head)$/.test(key) && config[key] !== null,
  );
}

function expectTiled(segments: readonly { readonly start: number; readonly rows: number }[], rows: number): void {
  let end = 0;
  for (const segment of segments) {
    expect(segment.start).toBe(end);
    end += segment.rows;
  }
  expect(end).toBe(rows);
}

for (const { name: deviceName, available, reason } of await availableDevices()) {
  describe.skipIf(!available)(`on ${deviceName}${available ? '' : ` (${reason})`}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
    });
    afterAll(() => device.close());

    // Variants differ in what is read from a config; one model of each architecture shows that a device's kernels agree.
    const cases = architectures.names.flatMap((modelType) => {
      const all = casesOf(modelType).map((one) => ({ modelType, ...one }));
      return deviceName === 'cpu' ? all : all.slice(0, 1);
    });

    it.each(cases)('$modelType, $name, gives the logits of its definition', async ({ modelType, model }) => {
      const opened = await openModel(writeFixture(model));
      const vocabulary = model.config['vocab_size'] as number;
      // Two of one length and a shorter one, which is padded; longer than the windows.
      const sequences = [24, 24, 9].map((length, i) => randomIds(length, vocabulary, 40 + i));
      const before = device.memory().tensors;
      const found = await logitsOf(opened, sequences, device);
      expect(device.memory().tensors).toBe(before);
      await opened.checkpoint.close();
      sequences.forEach((ids, i) => {
        const expected = referenceForwards[modelType]!(model, ids).flatMap((row) => [...row]);
        expect(relativeDifference(found[i]!, expected)).toBeLessThan(TOLERANCE);
      });
    });
  });
}

/** The largest difference over the largest magnitude. */
function relativeDifference(values: ArrayLike<number>, expected: readonly number[]): number {
  expect(values.length).toBe(expected.length);
  const magnitude = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(values[i]! - value))) / magnitude;
}
