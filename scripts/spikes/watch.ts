import type { DetectorName, SpikeReading } from '../../src/spikes/index.js';
import { spikeDetector } from '../../src/spikes/index.js';
import { type Calm, FAULT_AT, type Fault, seriesOf } from './series.js';

/** Who acts, by what is read of a step. */
export interface Rule {
  readonly name: string;
  readonly acts: (reading: SpikeReading) => boolean;
}

const sounds = (reading: SpikeReading, names: readonly DetectorName[]) =>
  reading.votes.some(({ detector, alarm }) => alarm && names.includes(detector));

const single = (name: DetectorName): Rule => ({ name, acts: (reading) => sounds(reading, [name]) });

/** Each detector alone, the rule that any of the sudden ones decides, and the ensemble. */
export const RULES: readonly Rule[] = [
  single('robust-z'),
  single('ratio'),
  single('gradient'),
  single('ewma'),
  single('cusum'),
  single('trend'),
  {
    name: 'any sudden one',
    acts: (reading) => sounds(reading, ['not-finite', 'robust-z', 'ratio', 'gradient']),
  },
  { name: 'any of all', acts: (reading) => reading.votes.some(({ alarm }) => alarm) },
  { name: 'ensemble', acts: ({ action }) => action === 'restore' },
];

/** What a rule did over many series. */
export interface Performance {
  /** Actions without a fault for each 1000 steps, those before a fault began among them. */
  readonly falseAlarms: number;
  /** Fraction of the series without an action before the fault in which there is one after it. */
  readonly power: number;
  /** Median steps from the fault to the action. */
  readonly delay: number | null;
  /** 0 where there is no fault. */
  readonly series: number;
}

/** Runs all rules over `count` seeded series. A series ends for a rule with its action, as a training goes back then. */
export function watch(calm: Calm, fault: Fault | undefined, count: number): ReadonlyMap<string, Performance> {
  const tallies = RULES.map(() => ({ steps: 0, early: 0, found: [] as number[] }));
  const detector = spikeDetector();
  for (let seed = 1; seed <= count; seed += 1) {
    let state = detector.begin();
    const done = RULES.map(() => false);
    for (const [step, figures] of seriesOf(calm, fault, seed).entries()) {
      const observed = detector.observe(state, { step, ...figures });
      state = observed.state;
      for (const [i, { acts }] of RULES.entries()) {
        const tally = tallies[i]!;
        if (done[i]) continue;
        const isBefore = fault === undefined || step < FAULT_AT;
        if (isBefore) tally.steps += 1;
        if (!acts(observed.reading)) continue;
        if (isBefore) tally.early += 1;
        else tally.found.push(step - FAULT_AT);
        // Without a fault the count goes on: there is nothing to find.
        done[i] = fault !== undefined;
      }
      if (done.every((isDone) => isDone)) break;
    }
  }
  return new Map(
    RULES.map(({ name }, i) => {
      const { steps, early, found } = tallies[i]!;
      const series = fault === undefined ? 0 : count - early;
      found.sort((left, right) => left - right);
      return [
        name,
        {
          falseAlarms: (1000 * early) / steps,
          power: series === 0 ? 0 : found.length / series,
          delay: found.length === 0 ? null : found[Math.floor(found.length / 2)]!,
          series,
        },
      ];
    }),
  );
}
