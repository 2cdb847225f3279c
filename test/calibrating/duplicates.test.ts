import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deduplicator } from '../../src/calibrating/duplicates.js';
import { heldOut } from '../../src/calibrating/held-out.js';
import { SimilarSets } from '../../src/calibrating/min-hash.js';
import { jaccard, shinglesOf, wordsOf } from '../../src/calibrating/shingles.js';

/** `count` different words. */
function words(count: number, prefix = 'word'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

describe('shinglesOf', () => {
  it('counts runs of words as a second implementation on strings does', () => {
    const word = fc.constantFrom('a', 'b', 'c');
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 6 }), (list, length) => {
        const runs = new Set<string>();
        for (let i = 0; i + length <= list.length; i += 1) runs.add(list.slice(i, i + length).join(' '));
        expect(shinglesOf(list, length).length).toBe(Math.max(1, runs.size));
      }),
    );
  });

  it('takes letters of scripts without spaces for words', () => {
    expect(wordsOf('骨は軽い bone')).toEqual(['骨', 'は', '軽', 'い', 'bone']);
  });
});

describe('jaccard', () => {
  it('is what sets give', () => {
    const set = fc.uniqueArray(fc.integer({ min: 0, max: 40 })).map((list) => Uint32Array.from(list).sort());
    fc.assert(
      fc.property(set, set, (left, right) => {
        const shared = [...left].filter((element) => right.includes(element)).length;
        const all = new Set([...left, ...right]).size;
        expect(jaccard(left, right)).toBeCloseTo(all === 0 ? 0 : shared / all, 12);
      }),
    );
  });
});

describe('SimilarSets', () => {
  it('finds sets that share 8 in 10 elements, and seldom strangers', () => {
    const similar = new SimilarSets();
    const sets = Array.from({ length: 50 }, (_, id) => shinglesOf(words(200, `text${id}-`), 1));
    for (const [id, set] of sets.entries()) similar.add(id, set);
    let strangers = 0;
    for (const [id] of sets.entries()) {
      const altered = shinglesOf([...words(200, `text${id}-`).slice(0, 180), ...words(20, `other${id}-`)], 1);
      expect(jaccard(sets[id]!, altered)).toBeCloseTo(180 / 220, 2);
      const found = similar.candidates(altered);
      expect(found).toContain(id);
      strangers += found.length - 1;
    }
    expect(strangers).toBeLessThan(5);
  });
});

describe('Deduplicator', () => {
  it('calls a text exact but for case, marks and spacing, near with a word changed, new otherwise', () => {
    const seen = new Deduplicator();
    const story = words(100);
    expect(seen.take(story.join(' '))).toBe('new');
    expect(seen.take(`${story.join(',\n').toUpperCase()}!`)).toBe('exact');
    expect(seen.take(story.with(50, 'changed').join(' '))).toBe('near');
    expect(seen.take(words(100, 'other').join(' '))).toBe('new');
  });

  it('compares long texts by their beginning', () => {
    const seen = new Deduplicator();
    const long = words(60_000).join(' ');
    expect(long.length).toBeGreaterThan(2 ** 18);
    expect(seen.take(long)).toBe('new');
    expect(seen.take(long)).toBe('exact');
    expect(seen.take(`${long} and more`)).toBe('near');
  });

  it('lets texts be that share less than NEAR of their runs', () => {
    const seen = new Deduplicator();
    const story = words(100);
    seen.take(story.join(' '));
    // Of 96 runs each, the 46 of the first half are shared: 46 / 146.
    expect(seen.take([...story.slice(0, 50), ...words(50, 'other')].join(' '))).toBe('new');
  });
});

describe('heldOut', () => {
  it('finds a passage of a held-out text at any place, and leaves a quotation', () => {
    const test = words(500);
    const isHeldOut = heldOut([test.join(' ')]);
    expect(isHeldOut(test.slice(123, 223).join(' '))).toBe(true);
    expect(isHeldOut([...words(300, 'own'), ...test.slice(0, 20)].join(' '))).toBe(false);
    expect(isHeldOut(words(100, 'own').join(' '))).toBe(false);
  });
});
