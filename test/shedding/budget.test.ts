import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeModel } from '../../src/model/index.js';
import { plateGraph, TARGET_NAMES, TARGETS } from '../../src/plates/index.js';
import {
  type Allotment,
  adaptiveAllotment,
  blockParameters,
  type Curve,
  type Share,
  sparsityOf,
  stocksOf,
  targetedAllotment,
  uniformAllotment,
} from '../../src/shedding/index.js';
import { checkpointOf } from '../model/checkpoint-of.js';
import { TINY_LLAMA, type TinyConfig, tinyModel } from '../reference/tiny-model.js';

const CONFIG: TinyConfig = {
  ...TINY_LLAMA,
  hidden_size: 16,
  intermediate_size: 768,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  num_hidden_layers: 3,
};

const graphOf = async (config: TinyConfig = CONFIG) => {
  return plateGraph(await describeModel(checkpointOf(tinyModel(config).tensors), config));
};
const shareOf = (over: Partial<Share> & { engine?: keyof typeof TARGETS; shards?: number } = {}): Share => {
  const { engine = 'hf', shards = 1, ...rest } = over;
  return { sparsity: 0.25, kinds: ['ffn-channel'], target: { rules: TARGETS[engine], shards }, ...rest };
};

describe('a uniform share', () => {
  it('is the fraction of the blocks that is asked for, to half a plate', async () => {
    const graph = await graphOf();
    // q, o: 16 × 16; k, v: 8 × 16; gate, up, down: 768 × 16; two norms of 16.
    expect(blockParameters(graph)).toBe(3 * (2 * 256 + 2 * 128 + 3 * 12_288 + 32));
    const channels = (0.25 * blockParameters(graph)) / (3 * 48);
    expect(uniformAllotment(graph, shareOf())['ffn-channel']).toEqual(Array(3).fill(Math.round(channels)));
  });

  it.each([
    ['vllm', 1, 0.25, 512 + 64],
    ['vllm', 1, 0.2, 640],
    ['vllm', 2, 0.25, 512],
    ['llama.cpp', 1, 0.25, 512],
    ['llama.cpp', 1, 0.6, 256],
  ] as const)('for %s on %i devices leaves multiples: %f', async (engine, shards, sparsity, kept) => {
    const graph = await graphOf();
    const removed = uniformAllotment(graph, shareOf({ engine, shards, sparsity }))['ffn-channel'];
    const width = 768 - removed[0]!;
    expect(width % (engine === 'vllm' ? 128 * shards : 256)).toBe(0);
    expect(Math.abs(width - kept)).toBeLessThanOrEqual(64);
  });

  it('takes whole KV groups first, and channels for the rest', async () => {
    const graph = await graphOf({ ...CONFIG, intermediate_size: 32 });
    const share = shareOf({ kinds: ['kv-group', 'ffn-channel'], sparsity: 0.3 });
    const removed = uniformAllotment(graph, share);
    expect(removed['kv-group']).toEqual([1, 1, 1]);
    // A group is 2 × 16 rows of q and of o, and 2 rows of k and of v: 4 + 4 columns of 16 … and a channel 3 × 16.
    const owed = (0.3 * blockParameters(graph)) / 3 - (2 * 4 + 2 * 2) * 16;
    expect(removed['ffn-channel']).toEqual(Array(3).fill(Math.round(owed / 48)));
  });

  it('refuses more than the kinds hold', async () => {
    const graph = await graphOf();
    expect(() => uniformAllotment(graph, shareOf({ kinds: ['kv-group'], sparsity: 0.5 }))).toThrow(
      /cannot be reached with KV groups: all of them are 0\.0\d\d/,
    );
  });
});

/** Every allotment: within half a step of what is asked, multiples of the step, and something of everything left. */
function expectSound(allotment: Allotment, share: Share, graph: Awaited<ReturnType<typeof graphOf>>): void {
  for (const { kind, block, count, families, step } of stocksOf(graph, share)) {
    const kept = (count - allotment[kind][block]!) / families;
    expect(kept).toBeGreaterThan(0);
    if (kept < count / families) expect(kept % step).toBe(0);
  }
}

describe('shares that differ', () => {
  const curvesOf = (
    graph: Awaited<ReturnType<typeof graphOf>>,
    share: Share,
    cost: (block: number, at: number) => number,
  ) =>
    stocksOf(graph, share).map((stock): Curve => {
      const errors = Array.from(
        { length: stock.count - stock.step },
        (_, at) => cost(stock.block, at) * stock.parameters,
      );
      return { stock, already: 0, errors };
    });

  it('take from the block that it costs least, until the sparsity is met', async () => {
    const graph = await graphOf();
    const share = shareOf({ engine: 'llama.cpp', sparsity: 0.5 });
    // Block 1 costs a tenth, and more the more has gone.
    const curves = curvesOf(graph, share, (block, at) => (block === 1 ? 0.1 : 1) * (1 + at));
    expect(targetedAllotment(graph, 0.42, curves)['ffn-channel']).toEqual([256, 512, 256]);
    expect(targetedAllotment(graph, 0.17, curves)['ffn-channel']).toEqual([0, 512, 0]);
  });

  it('count what earlier waves have shed', async () => {
    const graph = await graphOf();
    const share = shareOf({ sparsity: 0.1 });
    const curves = curvesOf(graph, share, () => 1).map((curve) => ({ ...curve, already: 50 }));
    const removed = targetedAllotment(graph, 0.1, curves);
    expect(Math.min(...removed['ffn-channel'])).toBeGreaterThanOrEqual(50);
    expect(sparsityOf(graph, removed, share)).toBeCloseTo(0.1, 2);
  });

  it('by sensitivity: four times the error is half the share, within half and twice the even one', async () => {
    const graph = await graphOf();
    const share = shareOf({ sparsity: 0.25 });
    const curves = curvesOf(graph, share, (block) => [1, 4, 1e9][block]!);
    const [first, second, third] = adaptiveAllotment(graph, 0.25, curves)['ffn-channel'] as [number, number, number];
    expect(first).toBeGreaterThan(second);
    const even = uniformAllotment(graph, share)['ffn-channel'][0]!;
    expect(third).toBeGreaterThanOrEqual(Math.floor(even / 2));
    expect(first).toBeLessThanOrEqual(Math.ceil(even * 2));
    expect(sparsityOf(graph, adaptiveAllotment(graph, 0.25, curves), share)).toBeCloseTo(0.25, 3);
  });

  it('always leave something of every block, in whole steps', async () => {
    const graph = await graphOf();
    fc.assert(
      fc.property(
        fc.constantFrom(...TARGET_NAMES),
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 3, maxLength: 3 }),
        (engine, sparsity, costs) => {
          const share = shareOf({ engine, sparsity, kinds: ['kv-group', 'ffn-channel'] });
          const curves = curvesOf(graph, share, (block, at) => costs[block]! * (1 + at));
          expectSound(targetedAllotment(graph, sparsity, curves), share, graph);
          expectSound(adaptiveAllotment(graph, sparsity, curves), share, graph);
          expectSound(uniformAllotment(graph, share), share, graph);
        },
      ),
      { numRuns: 60 },
    );
  });
});
