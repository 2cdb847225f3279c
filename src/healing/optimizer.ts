import { type AdamWOptions, adamWStep, gradientNorm } from './adamw.js';
import { type Learnt, momentNames } from './learnt.js';
import { learningRateAt } from './schedule.js';
import type { HealSettings, StateArray, TrainState } from './types.js';

/** As QLoRA's paged_adamw_32bit: the usual moments. */
const MOMENTS = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const satisfies Partial<AdamWOptions>;

/** One state's arrays, and how fast each learns. */
export interface Learning {
  readonly learnt: readonly Learnt[];
  readonly arrays: ReadonlyMap<string, StateArray>;
}

/** The step to take: counted from 1, of as many as its curve has. */
export interface StepAt {
  readonly step: number;
  readonly steps: number;
  readonly rateScale: TrainState['rateScale'];
}

/**
 * Moves every array that has a gradient by one AdamW step, in place; gradients are scaled down together to `clipNorm`. A gradient that is
 * not finite moves nothing: what to do about it is for whoever sees the norm.
 */
export function takeStep(
  { learnt, arrays }: Learning,
  gradients: ReadonlyMap<string, Float32Array>,
  { step, steps, rateScale }: StepAt,
  settings: HealSettings,
): { readonly learningRate: number; readonly gradientNorm: number } {
  const learningRate = rateScale * learningRateAt(step, { ...settings, steps });
  const norm = gradientNorm(gradients.values());
  if (!Number.isFinite(norm)) return { learningRate, gradientNorm: norm };
  const scale = norm > settings.clipNorm ? settings.clipNorm / norm : 1;
  const options = { ...MOMENTS, weightDecay: settings.weightDecay };
  for (const { arrays: names, intensity } of learnt) {
    for (const name of names.kind === 'full' ? [names.difference] : [names.left, names.right]) {
      const gradient = gradients.get(name);
      if (gradient === undefined) continue;
      const { first, second } = momentNames(name);
      const moments = { first: arrays.get(first)!.values, second: arrays.get(second)!.values };
      const rate = learningRate * intensity;
      adamWStep(arrays.get(name)!.values, gradient, moments, { step, rate, scale, decayed: true, options });
    }
  }
  return { learningRate, gradientNorm: norm };
}
