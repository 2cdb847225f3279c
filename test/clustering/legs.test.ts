import { describe, expect, it } from 'vitest';
import { type Leg, neuronsOf, populationNames } from '../../src/clustering/legs.js';
import type { BlockSpec, LinearSpec } from '../../src/model/index.js';

/** Two query heads to each of two key heads, four numbers a head. */
const SHAPE = { attention: true, feedForward: true, heads: 4, kvHeads: 2, headDim: 4, ffn: 6 } as const;
const HIDDEN = 16;

const linear = (
  role: LinearSpec['role'],
  rows: number,
  columns: number,
  more: Partial<LinearSpec> = {},
): LinearSpec => ({
  role,
  input: 'ffn-norm',
  weight: role,
  rows,
  columns,
  ...more,
});

const PLAIN: BlockSpec = {
  ...SHAPE,
  index: 2,
  vectors: [],
  linears: [
    linear('q', 16, HIDDEN),
    linear('k', 8, HIDDEN),
    linear('v', 8, HIDDEN),
    linear('o', HIDDEN, 16),
    linear('gate', 6, HIDDEN),
    linear('up', 6, HIDDEN),
    linear('down', HIDDEN, 6),
  ],
};

/** The same, q, k, v in one weight, key head by key head as GPT-NeoX has them, and gate and up in another. */
const FUSED: BlockSpec = {
  ...PLAIN,
  linears: [
    linear('qkv', 32, HIDDEN, {
      segments: [0, 1].flatMap((group) => [
        { role: 'q', start: group * 16, rows: 8 } as const,
        { role: 'k', start: group * 16 + 8, rows: 4 } as const,
        { role: 'v', start: group * 16 + 12, rows: 4 } as const,
      ]),
    }),
    linear('o', HIDDEN, 16),
    linear('gate-up', 12, HIDDEN, {
      segments: [
        { role: 'gate', start: 0, rows: 6 },
        { role: 'up', start: 6, rows: 6 },
      ],
    }),
    linear('down', HIDDEN, 6),
  ],
};

const legsOf = (legs: readonly Leg[], neuron: number) => legs.map((leg) => [leg.weight, leg.way, leg.of(neuron)]);

describe('neurons of a block', () => {
  it('are channels with their row of gate, row of up and column of down, wherever those are', () => {
    const [plain] = neuronsOf(PLAIN, 'ffn');
    expect([plain!.population, plain!.count]).toEqual(['block 2 ffn', 6]);
    expect(legsOf(plain!.legs, 3)).toEqual([
      ['gate', 'reads', [3]],
      ['up', 'reads', [3]],
      ['down', 'writes', [3]],
    ]);
    expect(legsOf(neuronsOf(FUSED, 'ffn')[0]!.legs, 3)).toEqual([
      ['gate-up', 'reads', [3]],
      ['gate-up', 'reads', [9]],
      ['down', 'writes', [3]],
    ]);
  });

  it('are heads, those of one group with the same keys and values', () => {
    const [heads] = neuronsOf(PLAIN, 'heads');
    expect(heads!.count).toBe(4);
    expect(legsOf(heads!.legs, 3)).toEqual([
      ['q', 'reads', [12, 13, 14, 15]],
      ['k', 'reads', [4, 5, 6, 7]],
      ['v', 'reads', [4, 5, 6, 7]],
      ['o', 'writes', [12, 13, 14, 15]],
    ]);
    // Head 3 is the second query head of the second group, whose rows begin at 16.
    expect(legsOf(neuronsOf(FUSED, 'heads')[0]!.legs, 3)).toEqual([
      ['qkv', 'reads', [20, 21, 22, 23]],
      ['qkv', 'reads', [24, 25, 26, 27]],
      ['qkv', 'reads', [28, 29, 30, 31]],
      ['o', 'writes', [12, 13, 14, 15]],
    ]);
  });

  it('are rows, with the columns that read them where one weight does', () => {
    const rows = new Map(neuronsOf(PLAIN, 'rows').map((neurons) => [neurons.population, neurons]));
    expect([...rows.keys()]).toEqual(['q', 'k', 'v', 'o', 'gate', 'up', 'down']);
    expect(legsOf(rows.get('q')!.legs, 5)).toEqual([['q', 'reads', [5]]]);
    expect(legsOf(rows.get('gate')!.legs, 5)[1]).toEqual(['down', 'writes', [5]]);
    // Row 5 of v is number 1 of the second key head, which query heads 2 and 3 read.
    expect(legsOf(rows.get('v')!.legs, 5)[1]).toEqual(['o', 'writes', [9, 13]]);
    const fused = new Map(neuronsOf(FUSED, 'rows').map((neurons) => [neurons.population, neurons]));
    expect(legsOf(fused.get('gate-up')!.legs, 10)[1]).toEqual(['down', 'writes', [4]]);
    expect(legsOf(fused.get('qkv')!.legs, 29)[1]).toEqual(['o', 'writes', [9, 13]]);
    expect(legsOf(fused.get('qkv')!.legs, 20)[1]).toEqual(['o', 'writes', []]);
  });

  it('of experts are populations of their own', () => {
    const experts = [0, 1].flatMap((expert) => [
      linear('up', 6, HIDDEN, { expert, weight: `up ${expert}` }),
      linear('down', HIDDEN, 6, { expert, weight: `down ${expert}` }),
    ]);
    const block: BlockSpec = { ...PLAIN, experts: { count: 2, perToken: 1 }, linears: experts };
    expect(populationNames([block], 'ffn')).toEqual(['block 2 ffn expert 0', 'block 2 ffn expert 1']);
    expect(legsOf(neuronsOf(block, 'ffn')[1]!.legs, 0)).toEqual([
      ['up 1', 'reads', [0]],
      ['down 1', 'writes', [0]],
    ]);
  });

  it('are none where the block has no network or no attention', () => {
    const bare: BlockSpec = { ...PLAIN, attention: false, feedForward: false, linears: [] };
    expect([neuronsOf(bare, 'ffn'), neuronsOf(bare, 'heads'), neuronsOf(bare, 'rows')]).toEqual([[], [], []]);
    expect(populationNames([PLAIN, { ...PLAIN, index: 3 }], 'heads')).toEqual(['heads']);
  });
});
