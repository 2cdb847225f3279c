import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  LAST_PLATE,
  Marks,
  marksAt,
  Protections,
  plateGraph,
  protectBoundary,
  protectLast,
  type RankedRange,
  shedLevels,
} from '../../src/plates/index.js';
import { llamaDecoder } from './tiny-decoders.js';

const graph = plateGraph(
  llamaDecoder({ blocks: 5, hidden: 6, heads: 4, kvHeads: 2, headDim: 2, ffn: 8, vocabulary: 7 }),
);
const RANGES = (['ffn-channel', 'kv-group', 'block'] as const).flatMap((kind) => graph.ranges(kind));
const PLATES = RANGES.reduce((sum, { count }) => sum + count, 0);

const ranking = fc.record({
  scores: fc.array(fc.constantFrom(0, 0.5, 1, 1.5, 2, 3), { minLength: PLATES, maxLength: PLATES }),
  releases: fc.array(fc.constantFrom(0, 0, 0, 0.3, 0.8, 1, Number.POSITIVE_INFINITY), {
    minLength: PLATES,
    maxLength: PLATES,
  }),
});

function rankedOf({ scores, releases }: { scores: number[]; releases: number[] }): RankedRange[] {
  let from = 0;
  return RANGES.map((range) => {
    const own = {
      scores: Float64Array.from(scores.slice(from, from + range.count)),
      releases: Float64Array.from(releases.slice(from, from + range.count)),
    };
    from += range.count;
    return { range, ...own, parameters: new Float64Array(range.count).fill(10) };
  });
}

describe('aggressiveness', () => {
  test('sheds more the larger it is, nothing at 0, and at 1 all but what never goes', () => {
    fc.assert(
      fc.property(
        ranking,
        fc.float({ min: 0, max: 1, noNaN: true }),
        fc.float({ min: 0, max: 1, noNaN: true }),
        (plates, a, b) => {
          const ranked = rankedOf(plates);
          const levels = shedLevels(ranked);
          const [less, more] = [marksAt(ranked, levels, Math.min(a, b)), marksAt(ranked, levels, Math.max(a, b))];
          expect(less.without(more).isEmpty).toBe(true);
          expect(marksAt(ranked, levels, 0).isEmpty).toBe(true);
          const never = plates.releases.filter((release) => release === Number.POSITIVE_INFINITY).length;
          expect(marksAt(ranked, levels, 1).size).toBe(PLATES - never);
        },
      ),
    );
  });

  test('is the share of the unprotected parameters of each kind that goes, smallest scores first', () => {
    const ranked = rankedOf({
      scores: Array.from({ length: PLATES }, (_, i) => (i * 7) % PLATES),
      releases: Array(PLATES).fill(0),
    });
    const marks = marksAt(ranked, shedLevels(ranked), 0.25);
    const channels = ranked.filter(({ range }) => range.kind === 'ffn-channel');
    const all = channels.flatMap(({ scores }) => [...scores]).sort((x, y) => x - y);
    for (const { range, scores } of channels) {
      for (const [at, score] of scores.entries()) {
        expect(marks.has(`ffn-channel:${range.block}:${at}`)).toBe(score <= all[9]!);
      }
    }
  });

  test('never sheds what protection has not released', () => {
    fc.assert(
      fc.property(ranking, fc.float({ min: 0, max: 1, noNaN: true }), (plates, a) => {
        const ranked = rankedOf(plates);
        const marks = marksAt(ranked, shedLevels(ranked), a);
        for (const { range, releases } of ranked) {
          for (const [at, release] of releases.entries()) {
            if (release > a)
              expect(marks.without(Marks.of([{ ...range, start: range.start + at, count: 1 }])).size).toBe(marks.size);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('protected ends', () => {
  test.each([
    [0, ['block:0', 'block:1', 'block:4']],
    [0.49, ['block:0', 'block:1', 'block:4']],
    [0.5, ['block:0', 'block:4']],
    [0.99, ['block:0', 'block:4']],
    [1, []],
  ])('two first and one last block, at aggressiveness %d: %j', (aggressiveness, expected) => {
    const protections = new Protections(protectBoundary(graph, { first: 2, last: 1, inside: false }));
    const ids = [...protections.at(aggressiveness).ids()].filter((id) => id.startsWith('block:'));
    expect(ids).toEqual(expected);
    expect(protections.at(aggressiveness).indices('ffn-channel', 0)).toEqual([]);
  });

  test('take in what lies inside where blocks may differ', () => {
    const protections = new Protections(protectBoundary(graph, { first: 1, last: 0, inside: true }));
    expect(protections.of(graph.plate('ffn-channel:0:3'))).toMatchObject([
      { reason: 'first-block', why: 'block 0 is the first of 5' },
    ]);
    expect(protections.of(graph.plate('ffn-channel:1:3'))).toEqual([]);
    expect(protections.isProtected({ kind: 'kv-group', block: 0 }, 1)).toBe(true);
    expect(protections.isProtected({ kind: 'kv-group', block: 1 }, 1)).toBe(false);
  });
});

describe('what must stay', () => {
  const ranked = rankedOf({ scores: Array.from({ length: PLATES }, (_, i) => i % 8), releases: Array(PLATES).fill(0) });

  test('the best of each family, whatever the aggressiveness', () => {
    const found = protectLast(graph, ranked, { ...LAST_PLATE, kinds: ['ffn-channel', 'kv-group', 'block'] });
    const ids = [...new Protections(found).at(1).ids()];
    expect(ids.filter((id) => id.startsWith('ffn-channel'))).toEqual(
      [0, 1, 2, 3, 4].map((block) => `ffn-channel:${block}:7`),
    );
    expect(ids.filter((id) => id.startsWith('kv-group'))).toHaveLength(5);
    expect(ids.filter((id) => id.startsWith('block'))).toHaveLength(1);
  });

  test('as many of the best as a multiple asks for', () => {
    const found = protectLast(graph, ranked, {
      kinds: ['ffn-channel'],
      multiple: 4,
      why: (kept, of) => `${kept} of ${of}`,
    });
    expect([...new Protections(found).at(1).ids()]).toEqual(
      [0, 1, 2, 3, 4].flatMap((block) => [4, 5, 6, 7].map((i) => `ffn-channel:${block}:${i}`)),
    );
    expect(found[0]).toMatchObject({ reason: 'target', why: '4 of 8' });
  });
});
