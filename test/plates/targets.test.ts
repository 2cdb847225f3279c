import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allowedRemoval, TARGETS, widthMultiple } from '../../src/plates/index.js';

describe('how many plates may go', () => {
  test.each([
    // [channels, wanted to go, multiple of what stays, may go]
    [384, 96, 1, 96],
    [768, 256, 256, 256],
    [768, 300, 256, 256],
    [768, 255, 256, 0],
    [11008, 2752, 256, 2560], // 8448 = 33 × 256 stay
    [1000, 500, 128, 488], // 512 stay
    [100, 100, 1, 99],
    [100, 100, 32, 68],
    [100, 3, 256, 0],
    [1, 1, 1, 0],
  ])('of %i with %i wanted, in multiples of %i: %i', (count, wanted, multiple, expected) => {
    expect(allowedRemoval(count, wanted, multiple)).toBe(expected);
  });

  test('is the largest number that leaves a multiple, by trying each', () => {
    const sizes = fc.record({
      count: fc.integer({ min: 1, max: 400 }),
      wanted: fc.nat(400),
      multiple: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(sizes, ({ count, wanted, multiple }) => {
        let best = 0;
        for (let gone = 1; gone <= Math.min(wanted, count - 1); gone += 1)
          if ((count - gone) % multiple === 0) best = gone;
        expect(allowedRemoval(count, wanted, multiple)).toBe(best);
      }),
    );
  });

  test('vllm counts in widths of each device', () => {
    expect(widthMultiple(TARGETS.vllm, 4)).toBe(512);
    expect(widthMultiple(TARGETS['llama.cpp'], 4)).toBe(256);
  });
});
