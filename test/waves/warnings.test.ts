import { describe, expect, it } from 'vitest';
import { type DamagePoint, warningsAt } from '../../src/waves/warnings.js';
import { uniform } from '../reference/tiny-model.js';

/** Standard normal numbers: Box and Muller 1958. */
function gaussian(seed: number): () => number {
  const random = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

interface Damage {
  readonly waves: number;
  /** From this wave on (counted from 0) each parameter costs so many times as much. */
  readonly change?: { readonly at: number; readonly factor: number };
  readonly blocks?: number;
  /** Of which the change is, when it is not in accuracy. */
  readonly block?: number;
  readonly seed?: number;
}

/** A run whose waves remove from 800 to 1200 parameters, each of which costs 1e-6 of accuracy, give or take a tenth. */
function damage({ waves, change, blocks, block, seed = 1 }: Damage): DamagePoint[] {
  const random = gaussian(seed);
  let [removed, accuracyLoss] = [0, 0];
  const errors = Array.from({ length: blocks ?? 0 }, () => 0);
  return Array.from({ length: waves }, (_, wave) => {
    const parameters = 1000 + 200 * Math.sin(wave);
    const factor = change !== undefined && wave >= change.at ? change.factor : 1;
    removed += parameters;
    accuracyLoss += parameters * 1e-6 * ((block === undefined ? factor : 1) + 0.1 * random());
    for (const index of errors.keys()) {
      errors[index]! += parameters * 1e-5 * ((block === index ? factor : 1) + 0.1 * random());
    }
    return { removed, accuracyLoss, accuracyLossError: 1e-5, ...(blocks !== undefined && { blocks: [...errors] }) };
  });
}

/** The first wave that gives a warning, counted from 0; -1 for none. */
const firstWarning = (waves: readonly DamagePoint[]) =>
  waves.findIndex((_, last) => warningsAt(waves.slice(0, last + 1)).length > 0);

describe('warningsAt', () => {
  it('is silent over runs whose waves all cost the same', () => {
    const runs = Array.from({ length: 300 }, (_, seed) => damage({ waves: 10, seed }));
    const sounded = runs.filter((waves) => firstWarning(waves) >= 0).length;
    // 1.4 % of runs of ten waves, were the damage measured without error; what is measured with one sounds less often.
    expect(sounded).toBeLessThanOrEqual(9);
    const withBlocks = Array.from({ length: 60 }, (_, seed) => damage({ waves: 10, seed, blocks: 32 }));
    expect(withBlocks.filter((waves) => firstWarning(waves) >= 0).length).toBeLessThanOrEqual(3);
  });

  it('finds a change soon after it comes, not before', () => {
    const at = Array.from({ length: 100 }, (_, seed) =>
      firstWarning(damage({ waves: 12, change: { at: 8, factor: 3 }, seed: seed + 1000 })),
    );
    expect(at.filter((wave) => wave >= 8 && wave <= 10).length).toBeGreaterThanOrEqual(95);
    expect(at.filter((wave) => wave >= 0 && wave < 8).length).toBeLessThanOrEqual(4);
  });

  it('names the block in which damage grows', () => {
    const waves = damage({ waves: 11, change: { at: 8, factor: 8 }, blocks: 6, block: 4, seed: 7 });
    const all = waves.flatMap((_, last) => warningsAt(waves.slice(0, last + 1)));
    expect(new Set(all.map(({ series, block }) => `${series} ${block}`))).toEqual(new Set(['block 4']));
    expect(all[0]!.value).toBeGreaterThan(all[0]!.limit);
    expect(all[0]!.reason).toMatch(/block 4's output grows \d+\.\d times as fast .*(CUSUM|EWMA)/);
  });

  it('tells a jump of one wave from what has crept up', () => {
    const [jumped] = warningsAt(damage({ waves: 9, change: { at: 8, factor: 30 }, seed: 3 }));
    expect(jumped).toMatchObject({ severity: 'spike' });
    const severities = Array.from({ length: 60 }, (_, seed) => {
      const waves = damage({ waves: 12, change: { at: 8, factor: 1.35 }, seed: seed + 2000 });
      const first = firstWarning(waves);
      return first < 0 ? 'none' : warningsAt(waves.slice(0, first + 1))[0]!.severity;
    });
    // A rise by three deviations adds up before any wave stands out by itself.
    const count = (wanted: string) => severities.filter((severity) => severity === wanted).length;
    expect(count('slight') + count('degrading')).toBeGreaterThan(4 * count('spike'));
    expect(count('slight') + count('degrading')).toBeGreaterThan(10);
  });

  it('says how much faster accuracy is lost', () => {
    const waves = damage({ waves: 9, change: { at: 8, factor: 30 }, seed: 3 });
    const [warning] = warningsAt(waves);
    expect(warning).toMatchObject({ series: 'accuracy', chart: 'cusum' });
    const times = Number(/lost (\d+\.\d) times as fast/.exec(warning!.reason)![1]);
    expect(times).toBeGreaterThan(27);
    expect(times).toBeLessThan(33);
  });

  it('takes no change for one that is below what measuring can tell', () => {
    const waves = damage({ waves: 9, change: { at: 8, factor: 3 }, seed: 1008 });
    expect(warningsAt(waves)).not.toEqual([]);
    expect(warningsAt(waves.map((wave) => ({ ...wave, accuracyLossError: 0.01 })))).toEqual([]);
  });

  it('waits for a third wave, and for the first that a block sees', () => {
    expect(warningsAt([])).toEqual([]);
    expect(warningsAt(damage({ waves: 2, change: { at: 1, factor: 100 } }))).toEqual([]);
    const untouched = damage({ waves: 8, blocks: 2 }).map((wave, index) => ({
      ...wave,
      blocks: [0, index < 7 ? 0 : 0.5],
    }));
    expect(warningsAt(untouched)).toEqual([]);
    // Waves that remove nothing are no observations.
    const still = damage({ waves: 5 });
    expect(warningsAt([...still, still.at(-1)!])).toEqual(warningsAt(still));
  });
});
