import { describe, expect, it } from 'vitest';
import { memoryLayer } from '../../src/checkpoint/index.js';
import type { History } from '../../src/state/index.js';
import { carryOver, mergedPlan } from '../../src/waves/followed-layer.js';
import { figuresBefore, nearerVerdict } from '../../src/waves/nearer.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const info = (name: string, values: number) => ({ name, dtype: 'U8' as const, shape: [values], byteLength: values });

describe('a layer behind a layer', () => {
  const first = {
    masks: [
      { name: 'both', elements: 10 },
      { name: 'masked', elements: 10 },
      { name: 'untouched', elements: 11 },
    ],
    values: [info('both too', 2), info('replaced', 3)],
  };
  const second = { masks: [], values: [info('both', 10), info('both too', 2)] };

  it('announces every tensor once, as the second has it where both do', () => {
    expect(mergedPlan(first, second)).toEqual({
      masks: [first.masks[1], first.masks[2]],
      values: [info('replaced', 3), ...second.values],
    });
  });

  it('carries over what the second leaves alone: masks, those that remove nothing, and values', async () => {
    const layer = memoryLayer(new Map([['masked', Uint8Array.of(0b1010_1010, 0b01)]]));
    const seen = memoryCheckpoint({ replaced: { dtype: 'U8', shape: [3], bytes: Uint8Array.of(7, 8, 9) } });
    const written: [string, ...number[]][] = [];
    await carryOver({ plan: first, layer, seen }, second, {
      writeMask: async (name, bits) => void written.push([name, ...bits]),
      writeValues: async (name, offset, bytes) => void written.push([name, offset, ...bytes]),
    });
    expect(written).toEqual([
      ['masked', 0b1010_1010, 0b01],
      ['untouched', 0b1111_1111, 0b111],
      ['replaced', 0, 7, 8, 9],
    ]);
  });
});

describe('the verdict on a wave that heals', () => {
  const passed = { pass: true, reason: 'inside', terms: [] };

  it.each([
    [{ kl: 0.4, perplexity: 10 }, { kl: 0.3, perplexity: 11 }, true],
    [{ kl: 0.4, perplexity: 10 }, { kl: 0.4, perplexity: 9 }, false],
    [{ perplexity: 10 }, { kl: 0.3, perplexity: 9 }, true],
    [{ perplexity: 10 }, { perplexity: 10 }, false],
    [{}, {}, true],
  ])('from %o to %o passes: %o', (before, after, pass) => {
    expect(nearerVerdict(passed, before, after).pass).toBe(pass);
  });

  it('is the gate’s where that has refused', () => {
    const refused = { ...passed, pass: false };
    expect(nearerVerdict(refused, { kl: 2 }, { kl: 1 })).toBe(refused);
  });

  it('compares with the last wave, else with the model itself, else with the dense one', () => {
    const wave = { active: true, figures: { kl: 1 } };
    const own = { state: { wave: 0, tensors: [] }, figures: { kl: 2 } };
    const past = { waves: [wave], measurements: [own], baseline: { figures: { kl: 3 } } } as unknown as History;
    expect(figuresBefore(past)).toEqual({ kl: 1 });
    expect(figuresBefore({ ...past, waves: [] })).toEqual({ kl: 2 });
    expect(figuresBefore({ ...past, waves: [], measurements: [] })).toEqual({ kl: 3 });
  });
});
