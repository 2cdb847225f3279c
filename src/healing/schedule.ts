import { seededRandom } from '../random.js';
import type { HealSettings } from './types.js';

/** Share of the highest learning rate that is left at the last step. */
const FINAL_SHARE = 0.1;

/**
 * The learning rate of a step counted from 1: a line up over the warm-up, then half a cosine down to a tenth. `steps` is where the
 * curve ends. Source of the shape: Loshchilov & Hutter 2017 (SGDR), one cycle.
 */
export function learningRateAt(
  step: number,
  { steps, warmUp, learningRate }: Pick<HealSettings, 'steps' | 'warmUp' | 'learningRate'>,
): number {
  const rising = Math.ceil(warmUp * steps);
  if (step <= rising) return (learningRate * step) / rising;
  const progress = Math.min(1, (step - rising) / Math.max(1, steps - rising));
  const share = FINAL_SHARE + ((1 - FINAL_SHARE) * (1 + Math.cos(Math.PI * progress))) / 2;
  return learningRate * share;
}

/**
 * Which windows go together into steps: groups of `size`, drawn once, so that what the teacher says of a group can be kept; a rest
 * that fills no group is left out. One group of all where there are fewer than `size`.
 */
export function windowGroups(count: number, size: number, seed: number): readonly (readonly number[])[] {
  const order = shuffled(count, seed, 0);
  if (count <= size) return [order];
  return Array.from({ length: Math.floor(count / size) }, (_, i) => order.slice(i * size, (i + 1) * size));
}

/** The group that the `drawn`-th batch (from 0) is: every group once in each epoch, in an order of that epoch's own. */
export function groupOf(drawn: number, groups: number, seed: number): number {
  const epoch = Math.floor(drawn / groups);
  return shuffled(groups, seed, epoch + 1)[drawn % groups]!;
}

/** 0 … count − 1 in a random order (Fisher–Yates), another for each `stream`. */
function shuffled(count: number, seed: number, stream: number): number[] {
  // An odd constant far from small numbers keeps neighbouring seeds' streams apart.
  const random = seededRandom(seed + stream * 0x9e37_79b1);
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i -= 1) {
    const other = random.below(i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}
