import { seededRandom } from '../../src/random.js';

/** Standard normal numbers from a seed: Box and Muller 1958. */
export function gaussian(seed: number): () => number {
  const random = seededRandom(seed);
  const uniform = () => (random.bits() + 0.5) / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A training without a fault: a level, noise about it, and gradients. */
export interface Calm {
  readonly name: string;
  readonly level: (step: number) => number;
  /** Standard deviation of the noise. */
  readonly deviation: number;
  /** The next value of noise with deviation 1, from the one before. */
  readonly noise: (normal: () => number, before: number) => number;
}

const autoregressive = (correlation: number) => (normal: () => number, before: number) =>
  correlation * before + Math.sqrt(1 - correlation ** 2) * normal();

/** Student's distribution with 3 degrees of freedom, scaled to deviation 1: batches of very unlike text. */
const heavyTailed = (normal: () => number) => {
  const squares = normal() ** 2 + normal() ** 2 + normal() ** 2;
  return normal() / Math.sqrt(squares / 3) / Math.sqrt(3);
};

/** A loss near 0 that varies by a third of itself, as a divergence from a teacher does. */
const LOG_DEVIATION = 0.3;
const lognormal = (normal: () => number) => (Math.exp(LOG_DEVIATION * normal()) - 1) / LOG_DEVIATION;

export const CALM: readonly Calm[] = [
  { name: 'independent noise', level: () => 3, deviation: 0.1, noise: autoregressive(0) },
  { name: 'AR(1), φ = 0.5', level: () => 3, deviation: 0.1, noise: autoregressive(0.5) },
  { name: 'AR(1), φ = 0.8', level: () => 3, deviation: 0.1, noise: autoregressive(0.8) },
  {
    name: 'falling, e-fold in 60 steps',
    level: (step) => 2 + 3 * Math.exp(-step / 60),
    deviation: 0.1,
    noise: autoregressive(0.3),
  },
  {
    name: 'falling, e-fold in 200 steps',
    level: (step) => 2 + 3 * Math.exp(-step / 200),
    deviation: 0.1,
    noise: autoregressive(0.3),
  },
  { name: 'lognormal, 30 % of a loss near 0', level: () => 0.3, deviation: 0.3 * LOG_DEVIATION, noise: lognormal },
  { name: "Student's t, 3 degrees", level: () => 3, deviation: 0.1, noise: heavyTailed },
];

/** What goes wrong: deviations that the loss is too high by, so many steps after its beginning, and what the gradient is multiplied by. */
export interface Fault {
  readonly name: string;
  readonly rise: (after: number) => number;
  readonly gradient?: (after: number) => number;
  /** It is nothing to act on: acting is a false alarm. */
  readonly harmless?: boolean;
}

const forSteps = (count: number, value: number, otherwise: number) => (after: number) =>
  after < count ? value : otherwise;

export const FAULTS: readonly Fault[] = [
  { name: 'one odd batch, 8 σ', rise: forSteps(1, 8, 0), harmless: true },
  { name: 'one odd batch, 30 σ', rise: forSteps(1, 30, 0), harmless: true },
  { name: 'spike, 8 σ for 5 steps', rise: forSteps(5, 8, 0) },
  { name: 'spike, 15 σ for 5 steps', rise: forSteps(5, 15, 0) },
  { name: 'the same with gradients × 12', rise: forSteps(5, 15, 0), gradient: forSteps(5, 12, 1) },
  { name: 'divergence, 2 σ more each step', rise: (after) => 2 * (after + 1) },
  { name: 'step, 2 σ', rise: () => 2 },
  { name: 'step, 4 σ', rise: () => 4 },
  { name: 'step, 10 σ', rise: () => 10 },
  { name: 'drift, 1 σ in 100 steps', rise: (after) => after / 100 },
  { name: 'drift, 1 σ in 25 steps', rise: (after) => after / 25 },
];

/** Steps of a series, and the one at which its fault begins. */
export const STEPS = 500;
export const FAULT_AT = 300;

/** One loss and gradient norm a step. */
export function seriesOf(calm: Calm, fault: Fault | undefined, seed: number): { loss: number; gradientNorm: number }[] {
  const normal = gaussian(seed);
  let noise = 0;
  return Array.from({ length: STEPS }, (_, step) => {
    noise = calm.noise(normal, noise);
    const after = step - FAULT_AT;
    const isFaulty = fault !== undefined && after >= 0;
    const rise = isFaulty ? fault.rise(after) : 0;
    const factor = isFaulty ? (fault.gradient?.(after) ?? 1) : 1;
    return {
      loss: calm.level(step) + calm.deviation * (noise + rise),
      gradientNorm: factor * Math.exp(0.3 * normal()),
    };
  });
}
