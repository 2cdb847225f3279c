import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SCHEDULES, targets } from '../../src/waves/schedule.js';
import { nextTarget, type Outcome } from '../../src/waves/stepper.js';

/** Drives the stepper against a model that breaks above `limit`. */
function drive(settings: Parameters<typeof nextTarget>[0], limit: number): Outcome[] {
  const outcomes: Outcome[] = [];
  for (;;) {
    const target = nextTarget(settings, outcomes);
    if (target === undefined) return outcomes;
    if (outcomes.length > 1000) throw new Error('does not end');
    outcomes.push({ target, committed: target <= limit });
  }
}

const kept = (outcomes: Outcome[]) => outcomes.filter((outcome) => outcome.committed).at(-1)?.target ?? 0;

describe('targets', () => {
  it('gives the cubic ramp of Zhu & Gupta for four waves to 0.8', () => {
    // 0.8 · (1 − (3/4)³, 1 − (2/4)³, 1 − (1/4)³, 1)
    expect(targets('cubic', 0.8, 4)).toEqual([0.8 * 0.578125, 0.8 * 0.875, 0.8 * 0.984375, 0.8]);
  });

  it('gives equal steps when linear, and the whole target at once when constant', () => {
    expect(targets('linear', 0.5, 2)).toEqual([0.25, 0.5]);
    expect(targets('constant', 0.5, 7)).toEqual([0.5]);
  });

  it('rises and ends exactly at the target, whatever the schedule', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SCHEDULES),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        (schedule, target, waves) => {
          const list = targets(schedule, target, waves);
          expect(list.at(-1)).toBe(target);
          for (let index = 1; index < list.length; index++) expect(list[index]!).toBeGreaterThan(list[index - 1]!);
        },
      ),
    );
  });
});

describe('nextTarget', () => {
  const settings = { schedule: 'linear', target: 0.8, waves: 4, minStep: 0.01 } as const;

  it('follows the schedule while waves are kept', () => {
    const list = drive(settings, 1).map((outcome) => outcome.target);
    expect(list).toHaveLength(4);
    expect(list).toEqual([0.2, 0.4, 0.8 * 0.75, 0.8]);
  });

  it('halves the step after a failure and never proposes a sparsity that failed before', () => {
    const list = drive(settings, 0.55);
    // 0.6 fails, the step 0.2 becomes 0.1 (0.5 is kept), 0.05 (0.55 is kept), then 0.025 and 0.0125 fail.
    expect(list.map((outcome) => [Number(outcome.target.toFixed(4)), outcome.committed])).toEqual([
      [0.2, true],
      [0.4, true],
      [0.6, false],
      [0.5, true],
      [0.55, true],
      [0.575, false],
      [0.5625, false],
    ]);
  });

  it('stops with nothing kept when even the smallest step fails', () => {
    const list = drive(settings, 0);
    expect(kept(list)).toBe(0);
    expect(list.at(-1)!.target).toBeGreaterThanOrEqual(0.01);
    expect(list.at(-1)!.target).toBeLessThan(0.02);
  });

  it('starts after what earlier steps kept', () => {
    expect(nextTarget({ ...settings, from: 0.4 }, [])).toBeCloseTo(0.6);
  });

  it('ends, and within two smallest steps of the limit, wherever the limit is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SCHEDULES),
        fc.double({ min: 0.05, max: 0.99, noNaN: true }),
        fc.integer({ min: 1, max: 12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (schedule, target, waves, limit) => {
          const list = drive({ schedule, target, waves, minStep: 0.01 }, limit);
          const best = Math.min(limit, target);
          expect(kept(list)).toBeLessThanOrEqual(best + 1e-9);
          expect(best - kept(list)).toBeLessThan(0.02 + 1e-9);
          const failed = list.filter((outcome) => !outcome.committed).map((outcome) => outcome.target);
          expect(new Set(failed).size).toBe(failed.length);
        },
      ),
    );
  });
});

describe('care', () => {
  const settings = { schedule: 'linear', target: 0.8, waves: 4, minStep: 0.01 } as const;
  const kept = (target: number, warned = false): Outcome => ({ target, committed: true, warned });

  it('halves the next step after a warning, and keeps to it', () => {
    expect(nextTarget(settings, [kept(0.2, true)])).toBeCloseTo(0.3);
    expect(nextTarget(settings, [kept(0.2, true), kept(0.3)])).toBeCloseTo(0.4);
    expect(nextTarget(settings, [kept(0.2, true), kept(0.3, true)])).toBeCloseTo(0.35);
  });

  it('proposes a wave again whose culprits are known, then goes half as far', () => {
    const failed: Outcome = { target: 0.4, committed: false, again: true };
    expect(nextTarget(settings, [kept(0.2), failed])).toBe(0.4);
    expect(nextTarget(settings, [kept(0.2), failed, failed])).toBe(0.4);
    expect(nextTarget(settings, [kept(0.2), failed, kept(0.4)])).toBeCloseTo(0.5);
    // The second attempt fails for good: the ordinary rollback.
    expect(nextTarget(settings, [kept(0.2), failed, { target: 0.4, committed: false }])).toBeCloseTo(0.3);
  });

  it('never ends a run by itself', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SCHEDULES),
        fc.double({ min: 0.02, max: 0.9, noNaN: true }),
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.constantFrom('kept', 'warned', 'again'), { maxLength: 60 }),
        (schedule, target, waves, words) => {
          const outcomes: Outcome[] = [];
          let again = false;
          for (let i = 0; i < 400; i += 1) {
            const next = nextTarget({ schedule, target, waves, minStep: 0.01 }, outcomes);
            if (next === undefined) break;
            if (again) expect(next).toBe(outcomes.at(-1)!.target);
            const word = words[i] ?? 'kept';
            again = word === 'again';
            outcomes.push({ target: next, committed: !again, again, warned: word === 'warned' });
          }
          expect(outcomes.at(-1)).toMatchObject({ target, committed: true });
          expect(outcomes.length).toBeLessThan(400);
        },
      ),
    );
  });
});
