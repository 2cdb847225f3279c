import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BlockErrors, reachOf, transmissionOf } from '../../src/damage/reach.js';

describe('reachOf', () => {
  it('is the product of what the blocks behind pass on, by hand', () => {
    const blocks: BlockErrors[] = [
      { own: 1, incoming: 0, inherited: 0, size: 10 },
      { own: 1, incoming: 1, inherited: 2, size: 20 },
      { own: 1, incoming: 4, inherited: 2, size: 40 },
    ];
    expect(blocks.map(transmissionOf)).toEqual([null, 2, 0.5]);
    // An error as large as block 0's output, 10, is 20 behind block 1 and 10 behind block 2, whose output is 40.
    expect(reachOf(blocks)).toEqual([0.25, 0.25, 1]);
  });

  it('follows the error of a single block to what it is at the end', () => {
    const positive = fc.double({ min: 0.01, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(positive, positive), { minLength: 1, maxLength: 8 }), positive, (later, own) => {
        const first: BlockErrors = { own, incoming: 0, inherited: 0, size: 3 };
        let incoming = own;
        const rest = later.map(([inherited, size]): BlockErrors => {
          const block = { own: 0, incoming, inherited, size };
          incoming = inherited;
          return block;
        });
        const [reach] = reachOf([first, ...rest]);
        const [error, size] = later.at(-1)!;
        expect((own / 3) * reach!).toBeCloseTo(error / size, 6);
      }),
    );
  });

  it('is nothing at an output that is zero', () => {
    expect(reachOf([{ own: 1, incoming: 0, inherited: 0, size: 0 }])).toEqual([0]);
    expect(reachOf([])).toEqual([]);
  });
});
