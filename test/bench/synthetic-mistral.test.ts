import { describe, expect, it } from 'vitest';
import { MISTRAL, syntheticMistral } from '../../bench/synthetic-mistral.js';
import { describeModel } from '../../src/model/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';

const name = 'model.layers.0.self_attn.k_proj.weight';

describe('syntheticMistral', () => {
  it('gives the same bytes in whatever pieces they are read', async () => {
    const checkpoint = syntheticMistral({ blocks: 1 });
    const whole = await checkpoint.read(name);
    for (const [offset, length] of [
      [0, 2],
      [2, 4],
      [1_000_002, 10_006],
      [whole.length - 6, 6],
    ] as const) {
      expect(await checkpoint.read(name, { offset, length })).toEqual(whole.subarray(offset, offset + length));
    }
    expect(await syntheticMistral({ blocks: 1, seed: 2 }).read(name)).not.toEqual(whole);
  });

  it('is normal with standard deviation 0.02, and its smallest values are the ones that are removed', async () => {
    const dense = decodeToF32(await syntheticMistral({ blocks: 1 }).read(name), 'BF16');
    const pruned = decodeToF32(await syntheticMistral({ blocks: 1, sparsity: 0.5 }).read(name), 'BF16');
    let [squares, kept, smallestKept, largestRemoved] = [0, 0, Number.POSITIVE_INFINITY, 0];
    dense.forEach((value, index) => {
      squares += value * value;
      if (pruned[index] === 0) largestRemoved = Math.max(largestRemoved, Math.abs(value));
      else if (pruned[index] === value) {
        kept += 1;
        smallestKept = Math.min(smallestKept, Math.abs(value));
      }
    });
    expect(Math.sqrt(squares / dense.length)).toBeCloseTo(0.02, 4);
    expect(kept / dense.length).toBeCloseTo(0.5, 3);
    expect(largestRemoved).toBeLessThanOrEqual(smallestKept);
  });

  it('is understood as a Mistral model', async () => {
    const checkpoint = syntheticMistral({ blocks: 2 });
    const decoder = await describeModel(checkpoint, { ...MISTRAL, num_hidden_layers: 2 });
    expect(decoder).toMatchObject({ architecture: 'mistral', heads: 32, kvHeads: 8, ffn: 14_336 });
    expect(decoder.blocks).toHaveLength(2);
  });
});
