import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  SPIKE_SETTINGS,
  type SpikeReading,
  type SpikeState,
  spikeDetector,
  type TrainingStep,
} from '../../src/spikes/index.js';
import { uniform } from '../reference/tiny-model.js';

const detector = spikeDetector();

/** Reads a series of losses, or of losses and gradient norms. */
function read(series: readonly (number | readonly [number, number])[], from?: SpikeState) {
  let state = from ?? detector.begin();
  const readings: SpikeReading[] = [];
  for (const [i, entry] of series.entries()) {
    const [loss, gradientNorm] = typeof entry === 'number' ? [entry, undefined] : entry;
    const step: TrainingStep = { step: i, loss, ...(gradientNorm !== undefined && { gradientNorm }) };
    const observed = detector.observe(state, step);
    state = observed.state;
    readings.push(observed.reading);
  }
  return { state, readings };
}

/** Standard normal numbers: Box and Muller 1958. */
function gaussian(seed: number): () => number {
  const random = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Losses about 3 that scatter by 0.1. */
function calm(count: number, seed = 1): number[] {
  const random = gaussian(seed);
  return Array.from({ length: count }, () => 3 + 0.1 * random());
}

const acted = (readings: readonly SpikeReading[]) => readings.filter(({ action }) => action === 'restore');
const sounding = ({ votes }: SpikeReading) => votes.filter(({ alarm }) => alarm).map(({ detector: name }) => name);

describe('spikeDetector', () => {
  it('lets a calm training and a falling loss go on', () => {
    expect(acted(read(calm(400)).readings)).toEqual([]);
    const falling = calm(400, 2).map((loss, i) => loss + 5 * Math.exp(-i / 80));
    expect(acted(read(falling).readings)).toEqual([]);
  });

  it('finds a jump that stays at its second step, and knows its first', () => {
    const readings = read([...calm(60), 4.4, 4.5]).readings;
    expect(readings[60]).toMatchObject({ severity: 'slight', action: 'go-on' });
    expect(readings[61]).toMatchObject({ severity: 'spike', action: 'restore', since: 60 });
    expect(readings[61]!.reason).toMatch(/deviations above the median \(limit 6.00\)/);
  });

  it('finds it at once where the gradient has jumped, too', () => {
    const losses = calm(60).map((loss): [number, number] => [loss, 1]);
    const { readings } = read([...losses, [4.4, 11]]);
    expect(sounding(readings[60]!)).toEqual(['robust-z', 'gradient']);
    expect(readings[60]).toMatchObject({ severity: 'spike', action: 'restore', since: 60 });
    // Ten times the usual gradient is still usual.
    expect(read([...losses, [4.4, 9.9]]).readings[60]).toMatchObject({ severity: 'slight' });
  });

  it('takes one odd batch for one odd batch', () => {
    const odd = [...calm(60), 9, ...calm(60, 3), 9, ...calm(60, 4)];
    const { readings } = read(odd);
    expect(acted(readings)).toEqual([]);
    expect([readings[60]!.severity, readings[121]!.severity]).toEqual(['slight', 'slight']);
    // Two of them in a row are none.
    expect(acted(read([...calm(60), 9, 9]).readings)).toHaveLength(1);
  });

  it('finds a loss that creeps up, and says since when', () => {
    const creeping = calm(600, 5).map((loss, i) => loss + 0.002 * Math.max(0, i - 300));
    const [first] = acted(read(creeping).readings);
    expect(first).toMatchObject({ severity: 'degrading' });
    expect(first!.step).toBeGreaterThan(330);
    expect(first!.step).toBeLessThan(520);
    expect(first!.since).toBeLessThan(first!.step);
  });

  it.each([
    ['NaN', Number.NaN],
    ['an infinity', Number.POSITIVE_INFINITY],
    ['a loss that has left every scale', 1e30],
  ])('stops at %s from the first step on, and learns nothing from it', (_, loss) => {
    for (const before of [0, 60]) {
      const { state, readings } = read([...calm(before), loss]);
      expect(readings[before]).toMatchObject({ severity: 'broken', action: 'restore', since: before });
      expect(state).toEqual(read(calm(before)).state);
    }
  });

  it('stops at a gradient that is no number', () => {
    expect(read([[3, Number.NaN]]).readings[0]).toMatchObject({ severity: 'broken' });
  });

  it('reads the same after its state went through JSON, which stays small', () => {
    const losses = calm(200, 7).map((loss, i) => loss + (i > 150 ? 0.25 : 0));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 199 }), (at) => {
        const [first, second] = [losses.slice(0, at), losses.slice(at)];
        const saved = JSON.stringify(read(first).state);
        expect(saved.length).toBeLessThan(4000);
        const resumed = read(second, JSON.parse(saved) as SpikeState);
        const straight = read(second, read(first).state);
        expect(resumed).toEqual(straight);
      }),
      { numRuns: 8 },
    );
  });

  it('does not depend on the unit of the loss', () => {
    const losses = [...calm(80, 9), 4.4, 4.5, ...calm(20, 10)];
    const severities = (scale: number) => read(losses.map((loss) => scale * loss)).readings.map((r) => r.severity);
    for (const scale of [1e-6, 1e6]) expect(severities(scale)).toEqual(severities(1));
  });

  it('asks for no action over differences in the last digits', () => {
    const steady = Array.from({ length: 100 }, (_, i) => 2 + (i % 7) * 1e-9);
    expect(acted(read([...steady, 2.01, 2.01, 2.01]).readings)).toEqual([]);
    expect(acted(read([...steady, 2.1, 2.1, 2.1]).readings).length).toBeGreaterThan(0);
  });

  it('has the limits of the published rule', () => {
    expect(SPIKE_SETTINGS).toMatchObject({ window: 50, robustZ: 6, ratio: 1.5, gradient: 10 });
  });
});
