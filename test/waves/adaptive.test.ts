import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adaptivePace } from '../../src/recipe-steps/adaptive.js';
import { decide, type Outcome, type StepperSettings } from '../../src/waves/stepper.js';

const settingsWith = (adaptive: object = {}, rest: Partial<StepperSettings> = {}): StepperSettings => ({
  ...{ schedule: 'constant', waves: 1, target: 0.6, minStep: 0.01 },
  ...rest,
  adaptive: adaptivePace.parse(adaptive),
});

const kept = (target: number, used?: number): Outcome => ({
  target,
  committed: true,
  ...(used !== undefined && { used }),
});
const failed = (target: number): Outcome => ({ target, committed: false });

function nextOf(settings: StepperSettings, outcomes: readonly Outcome[]): number {
  const decision = decide(settings, outcomes);
  if ('end' in decision) throw new Error(`ended: ${decision.end}`);
  return decision.target;
}

/** Lets a model answer until the step is over. */
function drive(settings: StepperSettings, answer: (target: number, index: number) => Outcome) {
  const outcomes: Outcome[] = [];
  for (;;) {
    const decision = decide(settings, outcomes);
    if ('end' in decision) return { outcomes, end: decision.end };
    if (outcomes.length > 5000) throw new Error('does not end');
    outcomes.push(answer(decision.target, outcomes.length));
  }
}

describe('an adaptive pace', () => {
  it('begins with a small step and doubles it while nothing is lost, up to the largest', () => {
    const { outcomes, end } = drive(settingsWith(), (target) => kept(target, 0));
    expect(outcomes.map(({ target }) => Number(target.toFixed(9)))).toEqual([0.05, 0.15, 0.35, 0.6]);
    expect(end).toBe('reached');
  });

  it('goes no further than where half of the room that is left would be taken, by the line through two states', () => {
    // 0.4 of the room for 0.05: 8 a unit. Half of the 0.6 that is left is 0.3: a step of 0.0375.
    expect(nextOf(settingsWith(), [kept(0.05, 0.4)])).toBeCloseTo(0.0875, 12);
    // The first state may have taken room: 0.2 for 0.05 is 4 a unit, and half of the 0.2 that is left is 0.1.
    expect(nextOf(settingsWith({}, { usedBefore: 0.6 }), [kept(0.05, 0.8)])).toBeCloseTo(0.075, 12);
  });

  it('goes by the parabola through the last three states where it bends up, and by the line where it bends down', () => {
    const wide = { growth: 8, maxStep: 0.9 };
    // used = s²: half of the 0.96 that is left is reached where s² = 0.52.
    const square = settingsWith(wide, { target: 0.9 });
    expect(nextOf(square, [kept(0.1, 0.01), kept(0.2, 0.04)])).toBeCloseTo(Math.sqrt(0.52), 12);
    // 0.3, then 0.1 for the same step: noise. The last line is 1 a unit, and half of 0.6 is 0.3.
    expect(nextOf(square, [kept(0.1, 0.3), kept(0.2, 0.4)])).toBeCloseTo(0.5, 12);
    // Getting better says nothing of how far one may go: growth alone limits it.
    expect(nextOf(settingsWith({}, { target: 0.9 }), [kept(0.05, 0.2), kept(0.1, 0.1)])).toBeCloseTo(0.2, 12);
  });

  it('divides the step after each failure, again and again, and grows again after a success, below what failed', () => {
    const settings = settingsWith();
    const outcomes = [kept(0.05), kept(0.15), failed(0.35)];
    expect(nextOf(settings, outcomes)).toBeCloseTo(0.25);
    expect(nextOf(settings, [...outcomes, failed(0.25)])).toBeCloseTo(0.2);
    // Doubled, the step would reach 0.35 again; half of the way to it is left.
    expect(nextOf(settings, [...outcomes, kept(0.25)])).toBeCloseTo(0.3);
    expect(nextOf(settings, [...outcomes, failed(0.25), kept(0.2)])).toBeCloseTo(0.225);
    expect(nextOf(settingsWith({ backOff: 4 }), outcomes)).toBeCloseTo(0.2);
  });

  it('ends after failures in a row, not after as many in all', () => {
    const settings = settingsWith({ firstStep: 0.2, maxFailures: 2 }, { minStep: 0.001 });
    expect(decide(settings, [failed(0.2), failed(0.1)])).toEqual({ end: 'failures' });
    expect(nextOf(settings, [failed(0.2), kept(0.1), failed(0.15)])).toBeCloseTo(0.125);
  });

  it('ends where less than the smallest step is left below what failed, and after the most waves', () => {
    expect(decide(settingsWith(), [kept(0.05, 0.1), failed(0.06)])).toEqual({ end: 'limit' });
    expect(decide(settingsWith({ maxWaves: 2 }), [kept(0.05), kept(0.15)])).toEqual({ end: 'waves' });
  });

  it('halves the step after a warning, a repair and a skip; a skip whose half is too small ends it', () => {
    const settings = settingsWith();
    expect(nextOf(settings, [{ ...kept(0.05), warned: true }])).toBeCloseTo(0.075);
    const again: Outcome = { target: 0.05, committed: false, again: true };
    expect(nextOf(settings, [again])).toBe(0.05);
    expect(nextOf(settings, [again, kept(0.05)])).toBeCloseTo(0.075);
    const skipped: Outcome = { target: 0.05, committed: false, skipped: true };
    expect(nextOf(settings, [skipped])).toBeCloseTo(0.025);
    // It did not fail: what was skipped may come again.
    expect(nextOf(settings, [skipped, kept(0.025)])).toBeCloseTo(0.075);
    expect(decide(settings, [skipped, { ...skipped, target: 0.015 }])).toEqual({ end: 'skipped' });
  });

  it('leaves no rest that is not worth a wave', () => {
    expect(nextOf(settingsWith({}, { target: 0.055 }), [])).toBe(0.055);
    expect(nextOf(settingsWith({}, { target: 0.06 }), [])).toBeCloseTo(0.05);
  });
});

const paces = fc.record({
  firstStep: fc.double({ min: 0.001, max: 0.5, noNaN: true }),
  maxStep: fc.double({ min: 0.01, max: 0.9, noNaN: true }),
  growth: fc.double({ min: 1, max: 8, noNaN: true }),
  spend: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
  backOff: fc.double({ min: 1.1, max: 16, noNaN: true }),
  maxFailures: fc.integer({ min: 1, max: 20 }),
  maxWaves: fc.integer({ min: 1, max: 200 }),
});
const settings = fc
  .record({
    adaptive: paces,
    target: fc.double({ min: 0.05, max: 0.99, noNaN: true }),
    minStep: fc.double({ min: 0.002, max: 0.2, noNaN: true }),
    part: fc.double({ min: 0, max: 0.9, noNaN: true }),
    usedBefore: fc.double({ min: 0, max: 0.99, noNaN: true }),
  })
  .map(({ adaptive, part, ...rest }) => settingsWith(adaptive, { ...rest, from: part * rest.target }));
/** What a model may answer, whether it makes sense or not. */
const answers = fc.array(
  fc.record({
    kind: fc.constantFrom('kept', 'kept', 'warned', 'failed', 'again', 'skipped'),
    used: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 60 },
);

describe('an adaptive pace, whatever the model answers', () => {
  it('ends in time, never passes the target, only rises, and tries nothing again that failed', () => {
    fc.assert(
      fc.property(settings, answers, (given, list) => {
        const { target, minStep, from = 0, adaptive } = given;
        let at = from;
        let least = Number.POSITIVE_INFINITY;
        let again: number | undefined;
        const { outcomes, end } = drive(given, (next, index) => {
          const { kind, used } = list[index % list.length]!;
          expect(next).toBeLessThanOrEqual(target);
          expect(next).toBeLessThan(least);
          expect(next - at).toBeGreaterThanOrEqual(Math.min(minStep, target - at) - 1e-9);
          if (again !== undefined) expect(next).toBe(again);
          // A wave is repaired twice at most (isRepairable).
          again = kind === 'again' && again === undefined ? next : undefined;
          if (again !== undefined) return { target: next, committed: false, again: true };
          if (kind === 'skipped') return { target: next, committed: false, skipped: true };
          if (kind === 'failed') {
            least = Math.min(least, next);
            return failed(next);
          }
          at = next;
          return { ...kept(next, used), warned: kind === 'warned' };
        });
        expect(outcomes.length).toBeLessThanOrEqual(adaptive!.maxWaves);
        if (end === 'reached') expect(at).toBeCloseTo(target, 8);
        if (end === 'limit') expect(least - at).toBeLessThanOrEqual(minStep + 1e-9);
      }),
      { numRuns: 200 },
    );
  });

  it('is a function of the outcomes alone: each run that goes on from the journal decides the same', () => {
    fc.assert(
      fc.property(settings, answers, (given, list) => {
        const { outcomes } = drive(given, (next, index) => {
          const { kind, used } = list[index % list.length]!;
          return kind === 'failed' ? failed(next) : kept(next, used);
        });
        const journal = JSON.parse(JSON.stringify(outcomes)) as Outcome[];
        for (const [index, { target }] of outcomes.entries())
          expect(decide(given, journal.slice(0, index))).toEqual({ target });
      }),
    );
  });

  it('comes within a smallest step of where the gate is, on any rising curve, unless failures or waves run out', () => {
    fc.assert(
      fc.property(
        settings,
        fc.double({ min: 0.02, max: 1.2, noNaN: true }),
        fc.double({ min: 0.3, max: 12, noNaN: true }),
        (given, limit, power) => {
          const { target, minStep, from = 0 } = given;
          fc.pre(limit > from + minStep);
          const used = (sparsity: number) => (sparsity / limit) ** power;
          const whole = { ...given, usedBefore: used(from) };
          const { outcomes, end } = drive(whole, (next) => (used(next) <= 1 ? kept(next, used(next)) : failed(next)));
          const last = outcomes.findLast(({ committed }) => committed)?.target ?? from;
          expect(last).toBeLessThanOrEqual(limit + 1e-9);
          if (end === 'reached' || end === 'limit')
            expect(Math.min(limit, target) - last).toBeLessThanOrEqual(minStep + 1e-9);
          else expect(['failures', 'waves']).toContain(end);
        },
      ),
      { numRuns: 500 },
    );
  });
});
