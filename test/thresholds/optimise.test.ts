import { describe, expect, it } from 'vitest';
import {
  bounded,
  type Counts,
  DEFAULT_SEARCH,
  fitted,
  optimiseThresholds,
  type ThresholdBounds,
} from '../../src/thresholds/index.js';
import { costOf, leastCost, plantedClusters, trialOf, type WatchedTrial } from './planted.js';

const BUDGET = 5600;

const sumOf = (counts: Counts) => [...counts.values()].reduce((total, count) => total + count, 0);

function optimise(
  options: { trial?: WatchedTrial; bounds?: ThresholdBounds; gone?: number; seed?: number; search?: object } = {},
) {
  const all = plantedClusters(options.gone);
  const budgets = [BUDGET];
  const clusters = bounded(all, options.bounds ?? {}, budgets);
  const total = all.reduce((sum, { elements }) => sum + elements, 0);
  const trial = options.trial ?? trialOf((candidate) => costOf(candidate, all));
  const starts = [{ name: 'uniform', counts: fitted(clusters, () => BUDGET / total, budgets) }];
  const search = { ...DEFAULT_SEARCH, regularization: 0, ...options.search };
  const request = { clusters, target: BUDGET / total, budgets, starts, trial, search, seed: options.seed ?? 0 };
  return { clusters, trial, result: optimiseThresholds(request) };
}

const shares = (counts: Counts) =>
  new Map(plantedClusters().map(({ name, elements }) => [name, counts.get(name)! / elements]));

describe('optimised thresholds', () => {
  it('come near the best division there is, on budget exactly', async () => {
    const { counts, chosen } = await optimise().result;
    const clusters = plantedClusters();
    const best = leastCost(clusters, BUDGET);
    const uniform = costOf(new Map(clusters.map(({ name }) => [name, BUDGET / 9600])), clusters);
    expect(sumOf(counts)).toBe(BUDGET);
    expect(chosen).toBe('search');
    expect(costOf(shares(counts), clusters)).toBeLessThan(best + 0.01 * (uniform - best));
  });

  it('are the same for the same seed, and measured otherwise for another', async () => {
    const of = async (seed: number) => {
      const { trial, result } = optimise({ seed });
      return { counts: [...(await result).counts], history: (await result).evolution, rounds: trial.rounds };
    };
    const [one, same, other] = [await of(5), await of(5), await of(6)];
    expect(same).toEqual(one);
    expect(other.history).not.toEqual(one.history);
  });

  it('keep within bounds, heed what is set by hand, and take nothing back', async () => {
    const bounds = { least: 0.3, most: 0.8, overrides: { 'blocks.0.up#1': 0.5, '*.1.down': { most: 0.7 } } };
    const { counts } = await optimise({ bounds, gone: 0.35 }).result;
    for (const { name, elements, gone } of plantedClusters(0.35)) {
      const share = counts.get(name)! / elements;
      const most = name.startsWith('blocks.1.down') ? 0.7 : 0.8;
      expect(counts.get(name)).toBeGreaterThanOrEqual(gone);
      expect(share).toBeLessThanOrEqual(most);
      if (name === 'blocks.0.up#1') expect(share).toBe(0.5);
    }
    expect(sumOf(counts)).toBe(BUDGET);
  });

  it('stay as they were where what was found is no better on the text that decides', async () => {
    const clusters = plantedClusters();
    const uniform = BUDGET / 9600;
    // The tuning text misleads: what costs least there costs most elsewhere.
    const trial = trialOf((candidate, text) =>
      text === 'tuning'
        ? costOf(candidate, clusters)
        : clusters.reduce((sum, { name }) => sum + (candidate.get(name)! - uniform) ** 2, 0),
    );
    const { counts, chosen, finalists } = await optimise({ trial }).result;
    expect(chosen).toBe('uniform');
    expect(finalists.map(({ name }) => name)).toEqual(['uniform', 'search']);
    for (const { name, elements } of clusters) expect(counts.get(name)! / elements).toBeCloseTo(uniform, 2);
  });

  it('are decided once, after the tuning, on text of its own', async () => {
    const { trial, result } = optimise();
    await result;
    const texts = trial.rounds.map(({ text }) => text);
    expect(texts.lastIndexOf('tuning')).toBeLessThan(texts.indexOf('deciding'));
    expect(trial.rounds.filter(({ text }) => text === 'deciding').map(({ tokens }) => tokens)).toEqual([1600, 1600]);
  });

  it('measure candidates on growing parts of the tuning text, ever fewer of them', async () => {
    const { trial, result } = optimise({ search: { generations: 1, offspring: 10 } });
    await result;
    const stages = trial.rounds.filter(({ text, tokens }) => text === 'tuning' && tokens === 100);
    expect(stages).toEqual([{ text: 'tuning', candidates: 11, tokens: 100 }]);
    const after = trial.rounds.slice(trial.rounds.indexOf(stages[0]!) + 1, trial.rounds.indexOf(stages[0]!) + 3);
    expect(after).toEqual([
      { text: 'tuning', candidates: 7, tokens: 400 },
      { text: 'tuning', candidates: 2, tokens: 800 },
    ]);
  });

  it('end when nothing is gained any more', async () => {
    const { evolution } = await optimise({ search: { generations: 400, patience: 5 } }).result;
    expect(evolution.ended).toBe('converged');
    expect(evolution.generations.length).toBeLessThan(400);
    const last = evolution.generations.slice(-5).map(({ divergence }) => divergence);
    expect(last[4]).toBeGreaterThan(0.98 * last[0]!);
  });

  it('are less extreme where extremes have a price', async () => {
    const spread = (counts: Counts) => {
      const all = [...shares(counts).values()];
      return Math.max(...all) - Math.min(...all);
    };
    const [free, priced] = [await optimise().result, await optimise({ search: { regularization: 1 } }).result];
    expect(spread(priced.counts)).toBeLessThan(0.8 * spread(free.counts));
  });

  it('show what removing less or more would cost: a front without points that lose in both', async () => {
    const { front, counts } = await optimise().result;
    expect(front.length).toBeGreaterThan(3);
    for (let i = 1; i < front.length; i += 1) {
      expect(front[i]!.sparsity).toBeGreaterThan(front[i - 1]!.sparsity);
      expect(front[i]!.divergence).toBeGreaterThan(front[i - 1]!.divergence);
    }
    expect(front.map(({ sparsity }) => sparsity)).toContain(sumOf(counts) / 9600);
  });

  it('trade within pools alone: each meets its own budget', async () => {
    const all = plantedClusters().map((cluster) => ({ ...cluster, pool: cluster.block }));
    const budgets = [2400, 3000];
    const clusters = bounded(all, {}, budgets);
    const starts = [{ name: 'uniform', counts: fitted(clusters, () => 0.5, budgets) }];
    const trial = trialOf((candidate) => costOf(candidate, all));
    const { counts } = await optimiseThresholds({
      clusters,
      target: 5400 / 9600,
      budgets,
      starts,
      trial,
      search: DEFAULT_SEARCH,
      seed: 0,
    });
    for (const [pool, budget] of budgets.entries()) {
      const own = clusters.filter((cluster) => cluster.pool === pool);
      expect(own.reduce((sum, { name }) => sum + counts.get(name)!, 0)).toBe(budget);
    }
    expect(costOf(shares(counts), all)).toBeLessThan(0.8 * costOf(shares(starts[0]!.counts), all));
  });
});
