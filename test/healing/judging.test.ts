import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideWindows } from '../../src/healing/held-out.js';
import { cautionOf } from '../../src/healing/history.js';
import { withSameZeros } from '../../src/healing/same-zeros.js';
import { HEAL_DEFAULTS, healSettings } from '../../src/healing/settings.js';
import { stepsForMinutes } from '../../src/healing/steps-for-minutes.js';
import type { Trainer, TrainStep, TrainWork } from '../../src/healing/types.js';
import { decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';

describe('values as they are stored', () => {
  it.each(['F32', 'F16', 'BF16'] as const)('in %s have zeros where there were zeros, and nowhere else', (dtype) => {
    const weight = fc.oneof(fc.constantFrom(0, -0, 1e-30, -1e-40), fc.float({ noNaN: true, min: -4, max: 4 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(weight, weight), { maxLength: 40 }), (pairs) => {
        const before = encodeFromF32(
          Float32Array.from(pairs, ([was]) => was),
          dtype,
        );
        const healed = Float32Array.from(pairs, ([, is]) => is);
        const after = withSameZeros(healed, before, dtype);
        const [was, is, rounded] = [before, after, encodeFromF32(healed, dtype)].map((bytes) =>
          decodeToF32(bytes, dtype),
        );
        for (let i = 0; i < was!.length; i += 1) {
          // Sign of zero included: the bits of what is gone do not change.
          const expected = was![i] === 0 || rounded![i] === 0 ? was![i] : rounded![i];
          expect(Object.is(is![i], expected)).toBe(true);
        }
      }),
    );
  });
});

describe('windows to heal on', () => {
  const windows = (count: number) => Array.from({ length: count }, (_, i) => ({ ids: Int32Array.of(i, i) }));

  it.each([
    [2, 1],
    [15, 1],
    [16, 2],
    [128, 16],
    [1000, 16],
  ])('of %i hold the last %i out', (count, heldOut) => {
    const text = divideWindows(windows(count));
    expect([text.learnt.length, text.heldOut.length]).toEqual([count - heldOut, heldOut]);
    expect([...text.learnt, ...text.heldOut]).toEqual(windows(count));
  });

  it.each([0, 1])('of %i are refused', (count) => {
    expect(() => divideWindows(windows(count))).toThrow(`Healing has ${count} windows`);
  });
});

describe('what earlier healing came to', () => {
  const worked = { applied: true, stopped: false };
  const failed = { applied: false, stopped: false };
  const stopped = { applied: true, stopped: true };

  it.each([
    [[], 1],
    [[worked, worked], 1],
    [[failed], 0.5],
    [[stopped, failed], 0.25],
    [[failed, failed, worked], 0.5],
    [[failed, failed, failed, failed, failed], 0.125],
  ])('halves the next rate after what did not help: %#', (earlier, expected) => {
    expect(cautionOf(earlier)).toBe(expected);
  });
});

describe('settings of healing', () => {
  const work = { steps: 10, intensity: new Map([['w', 1]]), masked: true, seed: 3, caution: 0.5 };

  it('fill in what was left open, and are as cautious as they are told', () => {
    const settings = healSettings({ rank: 4, learningRate: 0.01 }, work);
    expect(settings).toMatchObject({ rank: 4, learningRate: 0.005, frozen: 'stored', method: HEAL_DEFAULTS.method });
    expect(settings.alpha / 4).toBe(healSettings({ rank: 16 }, work).alpha / 16);
    expect(healSettings({ qlora: true }, work).frozen).toBe('nf4');
  });

  it.each([
    [{ steps: 2, minutes: 1 }, 'two answers'],
    [{ rank: 'full', qlora: true }, '4 bits'],
    [{ rank: 'full', alpha: 2 }, 'alpha 2'],
  ] as const)('refuse %o', (choices, message) => {
    expect(() => healSettings(choices, work)).toThrow(message);
  });
});

describe('steps for minutes', () => {
  /** A clock that a training moves: its first step takes 10 seconds more than the others. */
  function timed(secondsPerStep: number) {
    let now = 0;
    let taken = 0;
    const trainer: Trainer = {
      async *train({ settings }: TrainWork): AsyncGenerator<TrainStep, void, undefined> {
        now += 10_000;
        while (taken < settings.steps) {
          now += 1000 * secondsPerStep;
          taken += 1;
          yield { step: taken, loss: 1, gradientNorm: 1, learningRate: 1, snapshot: () => Promise.reject(new Error()) };
        }
      },
      merge: (_, weight) => weight,
      factors: () => undefined,
    };
    const work = { settings: { steps: 1 } } as unknown as TrainWork;
    const decided = (minutes: number) =>
      stepsForMinutes(trainer, work, { minutes, clock: () => now }, { report: () => {} } as never);
    return { decided, taken: () => taken };
  }

  it('are what is left of them after the first were timed, and loaded twice', async () => {
    const { decided, taken } = timed(2);
    // 300 − 4 trial steps of 2 s − twice 10 s of loading.
    expect(await decided(5)).toEqual({ steps: Math.floor((300 - 8 - 20) / 2), minutes: 5, secondsPerStep: 2 });
    expect(taken()).toBe(4);
  });

  it('are one at least', async () => {
    expect((await timed(2).decided(0.01)).steps).toBe(1);
  });
});
