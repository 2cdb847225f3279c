import { beforeAll, describe, expect, test } from 'vitest';
import type { Profile } from '../../src/hardware/index.js';
import { chooseStrategy, predict, profiles, strategies } from '../../src/hardware/index.js';
import type { Model } from '../../src/model/index.js';
import { llama2 } from './llama-2.js';

let model: Model;
beforeAll(async () => {
  model = await llama2();
});

const h100 = profiles.get('vllm-h100')!;
const laptop = profiles.get('laptop-8gb')!;
const at = { context: 4096, batch: 1 };
const named = (name: string) => strategies.find((strategy) => strategy.name === name)!;

describe('sizes', () => {
  // Of the files that were published for this model, TheBloke/Llama-2-7B-GGUF: GB of 10^9 bytes.
  test.each([
    ['q8_0', 7.16],
    ['q6_k', 5.53],
    ['q5_k_m', 4.78],
    ['q4_k_m', 4.08],
    ['q3_k_m', 3.3],
  ])('%s has the size of the published file', (name, gigabytes) => {
    expect(predict(model, named(name), laptop, at).weightBytes / 1e9).toBeCloseTo(gigabytes, 1.9);
  });

  test('the cache of 4096 tokens in F16 is 2 GiB', () => {
    expect(predict(model, named('f16'), laptop, at).cacheBytes).toBe(2 ** 31);
  });

  test('w4a16 is 4 bits and a scale of 16 for each 128 weights, head and embedding in 16', () => {
    const linears = 32 * (4 * 4096 ** 2 + 3 * 4096 * 11_008);
    const others = 2 * (2 * 32_000 * 4096 + 65 * 4096);
    expect(predict(model, named('w4a16'), h100, at).weightBytes).toBe(linears * (0.5 + 2 / 128) + others);
  });
});

describe('speed', () => {
  const machine: Profile = {
    ...h100,
    bandwidth: 1e12,
    arithmetic: { f16: 100e12 },
    reached: { bandwidth: 0.5, arithmetic: 0.5 },
    stepSeconds: 0.001,
  };
  const read = 2 * (32 * (4 * 4096 ** 2 + 3 * 4096 * 11_008) + 32_000 * 4096);

  test('one sequence is bound by reading: weights once, cache once', () => {
    const { tokensPerSecond, bound } = predict(model, named('bf16'), machine, { context: 1024, batch: 1 });
    expect(bound).toBe('memory');
    expect(tokensPerSecond).toBeCloseTo(1 / ((read + 1024 * 524_288) / 0.5e12 + 0.001), 6);
  });

  test('many sequences are bound by arithmetic: two operations a weight, four a head, position and dimension', () => {
    const { tokensPerSecond, bound } = predict(model, named('bf16'), machine, { context: 16, batch: 512 });
    const operations = 512 * (read + 32 * 4 * 4096 * 16);
    expect(bound).toBe('arithmetic');
    expect(tokensPerSecond).toBeCloseTo(512 / (operations / 50e12 + 0.001), 6);
  });

  test('a core that unpacks slowly bounds a CPU', () => {
    const slow: Profile = { ...laptop, unpacking: { cores: 2, weightsPerCore: { F16: 1e9 } } };
    const { tokensPerSecond, bound } = predict(model, named('f16'), slow, at);
    expect(bound).toBe('unpacking');
    expect(tokensPerSecond).toBeCloseTo(1 / (read / 2 / 2e9 + 32 * slow.blockSeconds!), 6);
  });
});

describe('the choice', () => {
  test('keeps most bits within the memory of the hardware, and says why the others are out', () => {
    const choice = chooseStrategy(model, laptop, { limits: {}, situation: { context: 512, batch: 1 } });
    expect(choice.chosen?.strategy.name).toBe('q5_k_m');
    expect(choice.reason).toMatch(/^q5_k_m keeps most bits \(5\.\d+ for each weight\) within the limits\./);
    expect(choice.reason).toContain('f16 is out: It takes');
  });

  test('a limit of speed takes fewer bits, one of size the largest below it', () => {
    const situation = { context: 512, batch: 1 };
    const fast = chooseStrategy(model, laptop, { limits: { sizeBytes: 4.2e9 }, situation });
    expect(fast.chosen?.strategy.name).toBe('q4_k_m');
  });

  test('what was chosen before is taken again within the limits, with that reason, and not beyond them', () => {
    const situation = { context: 512, batch: 1 };
    const again = chooseStrategy(model, laptop, { limits: {}, situation, before: 'q4_k_m' });
    expect(again.chosen?.strategy.name).toBe('q4_k_m');
    expect(again.reason).toBe('q4_k_m was chosen before, and is within the limits.');
    const grown = chooseStrategy(model, laptop, { limits: { sizeBytes: 4e9 }, situation, before: 'q4_k_m' });
    expect(grown.chosen?.strategy.name).toBe('q3_k_m');
  });

  test('hardware without FP8 leaves it out by name', () => {
    const { candidates } = chooseStrategy(model, profiles.get('vllm-a100')!, { limits: {}, situation: at });
    const fp8 = candidates.find(({ strategy }) => strategy.name === 'w8a8-fp8')!;
    expect(fp8.against.join()).toContain('no units for FP8');
  });

  test('where nothing fits, says how much would have to be shed', () => {
    const choice = chooseStrategy(model, laptop, { limits: { sizeBytes: 1.5e9 }, situation: at });
    expect(choice.chosen).toBeUndefined();
    const smallest = choice.candidates.at(-1)!.prediction.weightBytes;
    expect(choice.shed).toBe(Math.ceil((1 - 1.5e9 / smallest) * 100) / 100);
  });
});
