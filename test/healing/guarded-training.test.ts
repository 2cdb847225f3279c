import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SNAPSHOT_STEPS, trainGuarded } from '../../src/healing/guarded-training.js';
import type { Trainer, TrainState, TrainStep, TrainWork } from '../../src/healing/types.js';
import { type Patient, patient, settingsFor, workOf } from './patient.js';

/** A training of one number: it grows by the batch's number times the rate, so that every batch and rate leaves its trace. */
function counting(options: { readonly lossOf?: (batch: number) => number; readonly killAt?: number } = {}): Trainer {
  const { lossOf = (batch) => 2 + Math.sin(batch) / 10, killAt = Number.POSITIVE_INFINITY } = options;
  let taken = 0;
  return {
    async *train({ settings, from }: TrainWork): AsyncGenerator<TrainStep, void, undefined> {
      let state: TrainState = { step: 0, skipped: 0, rateScale: 1, ...from, arrays: from?.arrays ?? new Map() };
      while (state.step < settings.steps) {
        if (taken === killAt) throw new Error('killed');
        taken += 1;
        const batch = state.step + state.skipped + 1;
        const sum = (state.arrays.get('sum')?.values[0] ?? 0) + batch * state.rateScale;
        const arrays = new Map([['sum', { shape: [1], values: Float32Array.of(sum) }]]);
        state = { ...state, step: state.step + 1, arrays };
        const now = state;
        yield { step: state.step, loss: lossOf(batch), gradientNorm: 1, learningRate: 1, snapshot: async () => now };
      }
    },
    merge: (_, weight) => weight,
    factors: () => undefined,
  };
}

let folder: string;
let ill: Patient;
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'birdbone-guarded-'));
  ill = await patient();
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await ill.close();
});

const file = () => path.join(folder, 'wave-1.safetensors');

function train(trainer: Trainer, { isThere = false, steps = 130, work = 'w' } = {}) {
  const notices: string[] = [];
  const context = {
    device: undefined as never,
    memoryBytes: 0,
    spillFolder: folder,
    report: (event: { type: string; message?: string }) =>
      void (event.type === 'notice' && notices.push(event.message!)),
  };
  const keep = { file: file(), isThere, work };
  const done = trainGuarded(workOf(ill, settingsFor(ill, { steps })), context, { trainer, keep });
  return done.then((trained) => ({ ...trained, notices }));
}

const sumOf = ({ state }: { readonly state: TrainState | undefined }) => state?.arrays.get('sum')?.values[0];

describe('training under guard', () => {
  it('takes every step once where the loss behaves, and hands over the last state', async () => {
    const trained = await train(counting());
    expect(trained).toMatchObject({ spikes: [], stopped: false, state: { step: 130, skipped: 0, rateScale: 1 } });
    expect(sumOf(trained)).toBe((130 * 131) / 2);
    expect(trained.curve).toMatchObject({ every: 3 });
    expect(trained.curve.losses[0]).toBeCloseTo(2 + (Math.sin(1) + Math.sin(2) + Math.sin(3)) / 30, 12);
  });

  it('goes back at a spike, leaves its batches out, and goes on at half the rate', async () => {
    const trained = await train(
      counting({ lossOf: (batch) => (batch === 90 || batch === 91 ? 50 : 2 + Math.sin(batch) / 10) }),
    );
    const [spike, ...others] = trained.spikes;
    expect(others).toEqual([]);
    expect(spike).toMatchObject({ do: 'restore', rateFactor: 0.5, backTo: 80 });
    expect([90, 91]).toContain(spike!.batch);
    // Up to step 80 as ever; then the batches behind the spike, at half the rate.
    const after = Array.from({ length: 50 }, (_, i) => (spike!.batch + 1 + i) / 2).reduce((sum, part) => sum + part, 0);
    expect(sumOf(trained)).toBeCloseTo((80 * 81) / 2 + after, 3);
    expect(trained.state).toMatchObject({ step: 130, skipped: spike!.batch - 80, rateScale: 0.5 });
    expect(trained.notices[0]).toContain('goes back to step 80');
  });

  it('stops at the third strike with the last good state', async () => {
    const trained = await train(counting({ lossOf: (batch) => (batch > 70 ? Number.NaN : 2 + Math.sin(batch) / 10) }));
    expect(trained.spikes.map(({ do: action }) => action)).toEqual(['restore', 'restore', 'stop']);
    expect(trained).toMatchObject({ stopped: true, state: { step: 60 } });
    expect(sumOf(trained)).toBe((60 * 61) / 2);
  });

  it('has no state where not even the first steps were good', async () => {
    const trained = await train(counting({ lossOf: () => Number.POSITIVE_INFINITY }));
    expect(trained).toMatchObject({ stopped: true, state: undefined });
  });
});

describe('training that is killed', () => {
  const losses = (batch: number) => (batch === 65 || batch === 66 ? 40 : 2 + Math.sin(batch) / 10);

  it.each([1, SNAPSHOT_STEPS, 47, 65, 66, 67, 80, 110, 129])(
    'after %i steps goes on to the same end, spikes and all',
    async (killAt) => {
      const whole = await train(counting({ lossOf: losses }));
      rmSync(file());
      await expect(train(counting({ lossOf: losses, killAt }))).rejects.toThrow('killed');
      const isThere = killAt > SNAPSHOT_STEPS;
      const resumed = await train(counting({ lossOf: losses }), { isThere });
      expect({ ...resumed, notices: [] }).toEqual({ ...whole, notices: [] });
    },
  );

  it('after it had stopped stays stopped', async () => {
    const lossOf = (batch: number) => (batch > 30 ? Number.NaN : 2);
    const whole = await train(counting({ lossOf }));
    const again = await train(counting({ lossOf }), { isThere: true });
    expect({ ...again, notices: [] }).toEqual({ ...whole, notices: [] });
  });

  it.each([
    ['of other work', () => {}, { work: 'other' }],
    ['that is damaged', () => flip(-3), {}],
    ['that is cut off', () => writeFileSync(file(), readFileSync(file()).subarray(0, 40)), {}],
    ['that is empty', () => writeFileSync(file(), ''), {}],
  ] as const)('begins anew, and says so, with progress %s', async (_, harm, options) => {
    const whole = await train(counting());
    harm();
    const trained = await train(counting(), { isThere: true, ...options });
    expect(trained.notices[0]).toContain('healing begins anew');
    expect({ ...trained, notices: [] }).toEqual({ ...whole, notices: [] });
  });
});

function flip(at: number): void {
  const bytes = readFileSync(file());
  bytes[bytes.length + at]! ^= 1;
  writeFileSync(file(), bytes);
}
