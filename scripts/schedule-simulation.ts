import { seededRandom } from '../src/random.js';
import { adaptivePace } from '../src/recipe-steps/adaptive.js';
import { decide, type Outcome, type StepperSettings } from '../src/waves/stepper.js';

/** Runs per cell of the table; each has its own noise. */
const RUNS = 200;
/** Standard deviation of a measurement, as a part of the gate's room: 0.1 points of an accuracy loss under a gate of 3 %. */
const NOISE = 0.03;
const TARGET = 0.7;
const MIN_STEP = 0.01;
/** Where the gate is; the last is beyond the target. */
const LIMITS = [0.15, 0.35, 0.55, 0.95];

/** The part of the gate's room that is taken at a sparsity, for a model that bears `limit`. */
const CURVES: Readonly<Record<string, (sparsity: number, limit: number) => number>> = {
  line: (sparsity, limit) => sparsity / limit,
  'third power': (sparsity, limit) => (sparsity / limit) ** 3,
  exponential: (sparsity, limit) => Math.expm1(12 * sparsity) / Math.expm1(12 * limit),
  cliff: (sparsity, limit) => (sparsity <= limit ? (0.1 * sparsity) / limit : 2),
};

type Pace = Pick<StepperSettings, 'schedule' | 'waves' | 'adaptive'>;
const PACES: Readonly<Record<string, Pace>> = {
  'cubic, 5': { schedule: 'cubic', waves: 5 },
  'linear, 10': { schedule: 'linear', waves: 10 },
  adaptive: { schedule: 'constant', waves: 1, adaptive: adaptivePace.parse({}) },
};

/**
 * Markdown of waves tried, waves refused and sparsity missed, for each pace on simulated models: means of 200 runs. Pure, so that a
 * test holds docs/waves.md against it.
 */
export function scheduleTable(): string {
  const names = Object.keys(PACES);
  const header = ['damage grows like', 'the gate bears', ...names].join(' | ');
  const rows = Object.keys(CURVES).flatMap((curve) =>
    LIMITS.map((limit) => [curve, limitText(limit), ...names.map((name) => cellOf(curve, limit, PACES[name]!))]),
  );
  const rule = ['---', '--:', ...names.map(() => '--:')].join(' | ');
  return [header, rule, ...rows.map((row) => row.join(' | '))].map((line) => `| ${line} |`).join('\n');
}

function limitText(limit: number): string {
  return limit > TARGET ? 'more than asked' : `${Math.round(100 * limit)} %`;
}

function cellOf(curve: string, limit: number, pace: Pace): string {
  let [tried, refused, missed] = [0, 0, 0];
  for (let run = 0; run < RUNS; run += 1) {
    const outcomes = driven((sparsity) => CURVES[curve]!(sparsity, limit), pace, run);
    const kept = outcomes.findLast(({ committed }) => committed)?.target ?? 0;
    tried += outcomes.length;
    refused += outcomes.filter(({ committed }) => !committed).length;
    missed += Math.min(limit, TARGET) - kept;
  }
  return [(tried / RUNS).toFixed(1), (refused / RUNS).toFixed(1), ((100 * missed) / RUNS).toFixed(1)].join(' · ');
}

/** The outcomes of one run on a model that answers by `used`, measured with noise. */
function driven(used: (sparsity: number) => number, pace: Pace, seed: number): Outcome[] {
  const normal = normals(seed);
  const outcomes: Outcome[] = [];
  for (;;) {
    const decision = decide({ ...pace, target: TARGET, minStep: MIN_STEP }, outcomes);
    if ('end' in decision) return outcomes;
    const { target } = decision;
    const measured = Math.max(0, used(target) + NOISE * normal());
    outcomes.push(measured <= 1 ? { target, committed: true, used: measured } : { target, committed: false });
  }
}

/** Standard normal numbers by Box and Muller's transform. */
function normals(seed: number): () => number {
  const { bits } = seededRandom(seed);
  const uniform = () => (bits() + 0.5) / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
