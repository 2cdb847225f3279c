import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeByRank } from '../../src/model/byte-pair-merges.js';

/** The definition: look at all neighbours, join the leftmost pair of the best merge, start again. */
function mergeSlowly(text: string, merges: readonly (readonly [string, string])[]): string[] {
  const pieces = [...text];
  for (;;) {
    let best = -1;
    let bestRank = Infinity;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const rank = merges.findLastIndex(([left, right]) => left === pieces[i] && right === pieces[i + 1]);
      if (rank >= 0 && rank < bestRank) [best, bestRank] = [i, rank];
    }
    if (best < 0) return pieces;
    pieces.splice(best, 2, pieces[best]! + pieces[best + 1]!);
  }
}

describe('mergeByRank', () => {
  it('joins the better merge first, and the leftmost of equal ones', () => {
    expect(
      mergeByRank([
        ['b', 'c'],
        ['a', 'b'],
      ])('abc'),
    ).toEqual(['a', 'bc']);
    expect(
      mergeByRank([
        ['a', 'b'],
        ['b', 'c'],
      ])('abc'),
    ).toEqual(['ab', 'c']);
    expect(mergeByRank([['a', 'a']])('aaaaa')).toEqual(['aa', 'aa', 'a']);
  });

  it('joins what merges have made', () => {
    expect(
      mergeByRank([
        ['a', 'b'],
        ['ab', 'ab'],
        ['c', 'abab'],
      ])('cabab'),
    ).toEqual(['cabab']);
  });

  it('does not join a pair that went into a better merge meanwhile', () => {
    expect(
      mergeByRank([
        ['b', 'c'],
        ['a', 'bc'],
        ['c', 'd'],
        ['a', 'b'],
      ])('abcd'),
    ).toEqual(['abc', 'd']);
  });

  it('leaves characters without merges alone, one token per code point', () => {
    expect(mergeByRank([['a', 'b']])('ab😀é')).toEqual(['ab', '😀', 'é']);
    expect(mergeByRank([])('')).toEqual([]);
  });

  it('does what the definition says for any merges and any text', () => {
    const piece = fc.stringMatching(/^[abc]{1,3}$/);
    const merges = fc.array(fc.tuple(piece, piece), { maxLength: 25 });
    fc.assert(
      fc.property(merges, fc.stringMatching(/^[abcd]{0,40}$/), (pairs, text) => {
        expect(mergeByRank(pairs)(text)).toEqual(mergeSlowly(text, pairs));
      }),
      { numRuns: 2000 },
    );
  });
});
