import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, type TinyConfig, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';
import { logitsOf } from './logits.js';

const LLAMA3_ROPE = {
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};
const MISTRAL = {
  model_type: 'mistral',
  architectures: ['MistralForCausalLM'],
  sliding_window: null,
} as const;

/** What each variant says differently from the plain tiny Llama. */
const VARIANTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'grouped queries (GQA)': {},
  'one key head per query head (MHA)': { num_key_value_heads: 4 },
  'no num_key_value_heads at all (old Llama)': { num_key_value_heads: undefined },
  'one key head for all (MQA)': { num_key_value_heads: 1 },
  'linear rope_scaling': { rope_scaling: { rope_type: 'linear', factor: 4 } },
  'linear rope_scaling under the old key': { rope_scaling: { type: 'linear', factor: 2.5 } },
  'llama3 rope_scaling': { rope_theta: 200, rope_scaling: { rope_type: 'llama3', ...LLAMA3_ROPE } },
  'llama3 rope_parameters of transformers 5': {
    rope_theta: undefined,
    rope_parameters: { rope_type: 'llama3', rope_theta: 200, ...LLAMA3_ROPE },
  },
  'another rope_theta': { rope_theta: 500_000 },
  'an explicit head_dim above hidden / heads': { head_dim: 12 },
  'an explicit head_dim below hidden / heads': { head_dim: 6 },
  attention_bias: { attention_bias: true },
  mlp_bias: { mlp_bias: true },
  'a tied head': { tie_word_embeddings: true },
  'a large norm epsilon': { rms_norm_eps: 0.05 },
  Mistral: MISTRAL,
  'Mistral with a sliding window': { ...MISTRAL, sliding_window: 5 },
  'Mistral with a window of one token': { ...MISTRAL, sliding_window: 1 },
  'Mistral with a window longer than the text': { ...MISTRAL, sliding_window: 64 },
};

for (const { name: deviceName, available, reason } of await availableDevices()) {
  describe.skipIf(!available)(`on ${deviceName}${available ? '' : ` (${reason})`}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
    });
    afterAll(() => device.close());

    it.each(Object.entries(VARIANTS))('%s is what its definition gives in float64', async (name, difference) => {
      const config = { ...TINY_LLAMA, ...difference } as TinyConfig;
      const reference = tinyModel(config, name.length);
      const folder = writeTinyModel(reference);
      const model = await openModel(folder);
      const random = uniform(name.length);
      const sequences = [24, 24, 9].map((length) =>
        Int32Array.from({ length }, () => Math.floor(random() * config.vocab_size)),
      );
      const logits = await logitsOf(model, sequences, device);
      sequences.forEach((ids, i) => {
        const expected = referenceLogits(reference, ids).flatMap((row) => [...row]);
        expect(relativeDifference(logits[i]!, expected)).toBeLessThan(1e-5);
      });
      await model.checkpoint.close();
      rmSync(folder, { recursive: true });
    });
  });
}

describe('the float64 decoder tells the variants apart', () => {
  const ids = Int32Array.from({ length: 24 }, (_, i) => (7 * i) % 61);
  const plain = referenceLogits(tinyModel(TINY_LLAMA), ids).flatMap((row) => [...row]);

  it.each([
    ['linear rope_scaling', { rope_scaling: { rope_type: 'linear', factor: 4 } }],
    ['llama3 rope_scaling', { rope_scaling: { rope_type: 'llama3', ...LLAMA3_ROPE } }],
    ['another rope_theta', { rope_theta: 500_000 }],
    ['a sliding window', { ...MISTRAL, sliding_window: 5 }],
    ['a large norm epsilon', { rms_norm_eps: 0.05 }],
  ])('%s changes the logits of the same weights', (_, difference) => {
    const model = { ...tinyModel(TINY_LLAMA), config: { ...TINY_LLAMA, ...difference } as TinyConfig };
    const changed = referenceLogits(model, ids).flatMap((row) => [...row]);
    expect(relativeDifference(changed, plain)).toBeGreaterThan(1e-3);
  });
});

/** The largest difference over the largest magnitude. */
function relativeDifference(values: ArrayLike<number>, expected: readonly number[]): number {
  expect(values.length).toBe(expected.length);
  let difference = 0;
  let magnitude = 0;
  expected.forEach((value, i) => {
    difference = Math.max(difference, Math.abs(values[i]! - value));
    magnitude = Math.max(magnitude, Math.abs(value));
  });
  return difference / magnitude;
}
