import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findCulprits } from '../../src/waves/group-testing.js';

const LIMITS = { culprits: 3, tests: 1000 };
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Fails when a set holds one of these, and counts how often it was asked. */
function failsWith(culprits: readonly number[]) {
  const asked: (readonly number[])[] = [];
  const fails = async (subset: readonly number[]) => {
    asked.push(subset);
    return subset.some((item) => culprits.includes(item));
  };
  return { fails, asked };
}

describe('findCulprits', () => {
  it('finds every one of a few culprits, and nothing else, within its bound', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .integer({ min: 2, max: 300 })
          .chain((count) =>
            fc.tuple(
              fc.constant(count),
              fc.uniqueArray(fc.nat(count - 1), { minLength: 1, maxLength: Math.min(3, count - 1) }),
            ),
          ),
        async ([count, culprits]) => {
          const { fails, asked } = failsWith(culprits);
          const found = await findCulprits(upTo(count), fails, LIMITS);
          expect(found.outcome).toBe('found');
          expect([...found.culprits].sort((a, b) => a - b)).toEqual([...culprits].sort((a, b) => a - b));
          expect(found.tests).toBe(asked.length);
          expect(asked.length).toBeLessThanOrEqual(1 + culprits.length * (2 * Math.ceil(Math.log2(count)) + 1));
          // What is kept has been tested as it will be.
          expect(asked.at(-1)).toEqual(upTo(count).filter((item) => !culprits.includes(item)));
        },
      ),
    );
  });

  it('takes at most 14 tests for one of 64, and as many as halving takes for the first', async () => {
    expect((await findCulprits(upTo(64), failsWith([63]).fails, LIMITS)).tests).toBe(14);
    expect((await findCulprits(upTo(64), failsWith([0]).fails, LIMITS)).tests).toBe(8);
  });

  it('blames nobody where items fail only together', async () => {
    const pair = async (subset: readonly number[]) => subset.includes(3) && subset.includes(60);
    expect(await findCulprits(upTo(64), pair, LIMITS)).toMatchObject({ outcome: 'together', culprits: [] });
    // Many small harms that add up: every half passes, the whole does not.
    const many = async (subset: readonly number[]) => subset.length > 50;
    expect(await findCulprits(upTo(64), many, LIMITS)).toMatchObject({ outcome: 'together', culprits: [], tests: 3 });
  });

  it('does not call a culprit found while the rest fails without it', async () => {
    const alone = async (subset: readonly number[]) =>
      subset.includes(9) || (subset.includes(1) && subset.includes(40));
    expect(await findCulprits(upTo(64), alone, LIMITS)).toMatchObject({ outcome: 'together', culprits: [9] });
  });

  it('says when even all of them pass', async () => {
    expect(await findCulprits(upTo(8), async () => false, LIMITS)).toEqual({
      outcome: 'absent',
      culprits: [],
      tests: 1,
    });
  });

  it('stops at its limits of culprits and of tests', async () => {
    const { fails, asked } = failsWith([1, 2, 3, 4]);
    expect(await findCulprits(upTo(64), fails, LIMITS)).toMatchObject({ outcome: 'too-many', culprits: [1, 2, 3] });
    const before = asked.length;
    expect(await findCulprits(upTo(64), fails, { culprits: 3, tests: 5 })).toMatchObject({
      outcome: 'too-long',
      tests: 5,
    });
    expect(asked.length).toBe(before + 5);
    expect(await findCulprits([7], async () => true, LIMITS)).toMatchObject({ outcome: 'too-many' });
  });

  it('lets what a test throws through', async () => {
    const broken = async () => {
      throw new Error('the disk is gone');
    };
    await expect(findCulprits(upTo(4), broken, LIMITS)).rejects.toThrow('the disk is gone');
  });
});
