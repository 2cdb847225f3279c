import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/random.js';
import { bounded, fitted, reasonsOf, rowCounts } from '../../src/thresholds/index.js';
import { moved } from '../../src/thresholds/moves.js';
import { OPERATORS, OperatorBandit, STEP_SIZES } from '../../src/thresholds/operators.js';
import { Prices } from '../../src/thresholds/prices.js';
import { errorAt } from '../../src/thresholds/threshold-cluster.js';
import { plantedClusters } from './planted.js';

const sumOf = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

describe('counts of rows', () => {
  it('add up to the cluster count, never below what is gone, and differ by one at most elsewhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 9 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (gone, share) => {
          const least = sumOf(gone);
          const count = least + Math.floor(share * (12 * gone.length - least));
          const counts = rowCounts(count, gone, 12);
          expect(sumOf(counts)).toBe(count);
          const level = Math.min(...counts);
          for (const [row, own] of counts.entries()) {
            expect(own).toBeGreaterThanOrEqual(gone[row]!);
            expect(own <= level + 1 || own === gone[row]).toBe(true);
          }
        },
      ),
      { numRuns: 200, seed: 1 },
    );
  });

  it('give the odd weights to the first rows, and refuse what is not there', () => {
    expect([...rowCounts(7, [0, 5, 0], 8)]).toEqual([1, 5, 1]);
    expect([...rowCounts(8, [0, 5, 0], 8)]).toEqual([2, 5, 1]);
    expect(() => rowCounts(25, [0, 5, 0], 8)).toThrow(RangeError);
    expect(() => rowCounts(4, [0, 5, 0], 8)).toThrow(RangeError);
  });
});

describe('a move', () => {
  const clusters = bounded(plantedClusters(0.1), { least: 0.2, most: 0.9 }, [5600]);
  const parent = fitted(clusters, () => 5600 / 9600, [5600]);

  it.each(OPERATORS)('of %s keeps the sum and every bound', (name) => {
    const random = seededRandom(4);
    let counts = parent;
    for (let step = 0; step < 60; step += 1) {
      const prices = clusters.map(() => random.below(100));
      counts = moved(counts, { clusters, operator: { name, step: STEP_SIZES[step % 2]! }, prices, random });
      expect(sumOf(counts.values())).toBe(5600);
      for (const { name: cluster, least, most } of clusters) {
        expect(counts.get(cluster)).toBeGreaterThanOrEqual(least!);
        expect(counts.get(cluster)).toBeLessThanOrEqual(most!);
      }
    }
    expect(counts).not.toEqual(parent);
  });

  it('by price takes from the dearest and gives to the cheapest', () => {
    const prices = clusters.map((_, i) => (i === 3 ? 10 : i === 7 ? -10 : 1));
    const random = seededRandom(1);
    const counts = moved(parent, { clusters, operator: { name: 'priced', step: 0.1 }, prices, random });
    expect(counts.get(clusters[3]!.name)).toBeLessThan(parent.get(clusters[3]!.name)!);
    expect(counts.get(clusters[7]!.name)).toBeGreaterThan(parent.get(clusters[7]!.name)!);
  });
});

describe('prices', () => {
  it('are learnt from what moves have cost: here a linear cost, whatever was believed first', () => {
    const truth = [3, -1, 0.5, 2];
    const random = seededRandom(9);
    const prices = new Prices([1, 1, 1, 1]);
    for (let i = 0; i < 400; i += 1) {
      const weights = truth.map(() => random.below(21) - 10);
      prices.fade();
      prices.observe(weights, sumOf(weights.map((moves, k) => moves * truth[k]!)));
    }
    for (const [i, { mean }] of prices.all().entries()) expect(mean).toBeCloseTo(truth[i]!, 1);
  });

  it('are less uncertain where something was learnt, and draws lie about what is believed', () => {
    const prices = new Prices([1, 1]);
    const [before] = prices.all();
    prices.observe([10, 0], 15);
    const [seen, unseen] = prices.all();
    expect(seen!.variance).toBeLessThan(before!.variance);
    expect(unseen).toEqual(before);
    expect(prices.drawn([0, 0])).toEqual([seen!.mean, unseen!.mean]);
  });
});

describe('the bandit', () => {
  it('tries everything once, then what pays most of the time', () => {
    const bandit = new OperatorBandit();
    const random = seededRandom(2);
    const arms = OPERATORS.length * STEP_SIZES.length;
    for (let i = 0; i < 600; i += 1) {
      const operator = bandit.choose(random);
      const chance = operator.name === 'pair' && operator.step === STEP_SIZES[0] ? 80 : 5;
      if (random.below(100) < chance) bandit.reward(operator);
      if (i === arms - 1) expect(bandit.record().map(({ tried }) => tried)).toEqual(Array(arms).fill(1));
    }
    const record = bandit.record();
    const best = record.find(({ operator, step }) => operator === 'pair' && step === STEP_SIZES[0])!;
    expect(best.tried).toBeGreaterThan(300);
    expect(sumOf(record.map(({ tried }) => tried))).toBe(600);
  });
});

describe('bounds', () => {
  const clusters = plantedClusters();

  it('refuse a name that fits nothing, and a budget that they cannot meet, in words', () => {
    expect(() => bounded(clusters, { overrides: { 'blocks.0.upp': 0.5 } }, [5600])).toThrow(
      'The threshold set for "blocks.0.upp" fits no cluster',
    );
    expect(() => bounded(clusters, { most: 0.5 }, [5600])).toThrow(
      'clusters can lose 0.0 % to 50.0 % of their weights together, and 58.3 % are to go',
    );
    expect(() => bounded(clusters, { least: 0.7 }, [5600])).toThrow('70.0 % to 99.0 %');
  });

  it('let the last override win that fits, of a matrix or of one of its clusters', () => {
    const found = bounded(clusters, { overrides: { '*': { most: 0.9 }, 'blocks.0.*': 0.6, '*#2': 0.5 } }, [5600]);
    const of = (name: string) => found.find((cluster) => cluster.name === name)!;
    expect(of('blocks.1.up#0')).toMatchObject({ least: 0, most: 360, override: '*' });
    expect(of('blocks.0.up#0')).toMatchObject({ least: 240, most: 240, override: 'blocks.0.*' });
    expect(of('blocks.0.up#2')).toMatchObject({ least: 600, most: 600, override: '*#2' });
  });
});

describe('reasons', () => {
  it('name what was set by hand, what costs more or less than the mean, and health that has suffered', () => {
    const clusters = bounded(plantedClusters(), { overrides: { 'blocks.0.up#0': 0.5 } }, [5600]).map((cluster, i) =>
      i === 2 ? { ...cluster, figures: { ...cluster.figures, health: 0.7 } } : cluster,
    );
    const counts = fitted(clusters, ({ cluster }) => [0.5, 0.8, 0.4][cluster]!, [5600]);
    const found = clusters.map(({ name }, i) => ({ name, price: i === 1 ? 1 : 4, errorPrice: 1, weights: 1 }));
    const reasons = reasonsOf(counts, clusters, { target: 5600 / 9600, found }).map(({ reason }) => reason);
    expect(reasons[0]).toBe('set by hand: blocks.0.up#0');
    expect(reasons[1]).toMatch(/points above the target: its last weights cost 3\.\d times less than the mean$/);
    expect(reasons[2]).toMatch(/points below the target: its last weights cost about the mean, health 0\.70$/);
  });
});

it('errors between their steps lie on a straight line', () => {
  const [cluster] = plantedClusters();
  expect(errorAt(cluster!, 0)).toBe(0);
  expect(errorAt(cluster!, 1)).toBe(400);
  expect(errorAt(cluster!, 0.5)).toBeCloseTo(100, 9);
  expect(errorAt(cluster!, 1.5 / 64)).toBeCloseTo((400 * (1 + 4)) / 2 / 64 ** 2, 9);
});
