import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Architecture } from '../../scripts/fledgling/architecture.js';
import { type TrainingOptions, type TrainingStep, train } from '../../scripts/fledgling/train.js';
import { type Device, openDevice } from '../../src/tensor/index.js';

/** Small, but with enough elements in a step that the device takes its fast paths, as it does for the real model. */
const architecture: Architecture = {
  vocabulary: 16,
  hidden: 64,
  ffn: 128,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  context: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

const options: TrainingOptions = {
  seed: 1,
  steps: 3,
  rows: 8,
  tokens: 16,
  rate: 1e-2,
  finalRate: 1e-3,
  warmUp: 1,
  clip: 1,
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
};

/** The last two ids decide the next one. */
const ids = new Int32Array(8192);
ids.set([1, 2]);
for (let i = 2; i < ids.length; i += 1) ids[i] = (3 * ids[i - 1]! + ids[i - 2]!) % 16;

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

async function run(changes: Partial<TrainingOptions> = {}) {
  const steps: TrainingStep[] = [];
  const parameters = await train(
    architecture,
    ids,
    { ...options, ...changes },
    { device, report: (step) => steps.push(step) },
  );
  return { parameters, steps, losses: steps.map(({ loss }) => loss) };
}

describe('training', () => {
  it('starts near a uniform guess and lowers the loss within three steps', async () => {
    const { losses } = await run();
    expect(Math.abs(losses[0]! - Math.log(16))).toBeLessThan(0.8);
    expect(losses[2]!).toBeLessThan(losses[0]!);
  });

  it('gives the same bytes for the same seed, and others for another', async () => {
    const bytes = async (changes: Partial<TrainingOptions>) =>
      Buffer.concat((await run(changes)).parameters.map(({ values }) => Buffer.from(values.buffer)));
    const first = await bytes({});
    expect(first.equals(await bytes({}))).toBe(true);
    expect(first.equals(await bytes({ seed: 2 }))).toBe(false);
  });

  it('learns a rule over two tokens, with every parameter moved and no tensor left behind', async () => {
    const before = device.memory().tensors;
    const { losses, parameters } = await run({ steps: 40 });
    expect(device.memory().tensors).toBe(before);
    expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]!);
    const untouched = (await run({ steps: 0 })).parameters;
    for (const [i, { name, values }] of parameters.entries()) {
      expect(Buffer.from(values.buffer).equals(Buffer.from(untouched[i]!.values.buffer)), name).toBe(false);
    }
  });

  it('refuses a text that is too short for its steps', async () => {
    await expect(run({ steps: 100 })).rejects.toThrow('8192 ids are too few for 12801');
  });
});
