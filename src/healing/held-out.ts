import { BirdboneError } from '../errors.js';
import { compareScores, scorePassages } from '../evaluation/index.js';
import { silent } from '../events.js';
import type { Model } from '../model/index.js';
import type { TrainContext, TrainWindow } from './types.js';

/** One window in eight, and 16 at most, are what healing is judged by: a few thousand tokens tell a gain from a loss. */
const HELD_OUT_SHARE = 1 / 8;
const MAX_HELD_OUT = 16;

/** Windows to learn from, and others that nothing is learnt from. */
export interface HealingText {
  readonly learnt: readonly TrainWindow[];
  readonly heldOut: readonly TrainWindow[];
}

/** Divides windows: the last are held out, one at least. Throws `usage` where that leaves none to learn from. */
export function divideWindows(windows: readonly TrainWindow[]): HealingText {
  const count = Math.min(MAX_HELD_OUT, Math.max(1, Math.floor(windows.length * HELD_OUT_SHARE)));
  if (windows.length <= count) {
    throw new BirdboneError(
      'usage',
      `Healing has ${windows.length} windows of text; it takes two at least, one to learn from and one to judge by.`,
      { suggestions: ['Give more text: --calibration FILE', 'Use shorter windows: --context 64'] },
    );
  }
  return { learnt: windows.slice(0, -count), heldOut: windows.slice(-count) };
}

/** How far a model's predictions are from the teacher's on text that neither has learnt from here. */
export interface Distance {
  /** Mean KL(teacher ‖ model) for a token, nats. */
  readonly kl: number;
  /** Mean next-token loss of the model, nats. */
  readonly loss: number;
}

/** Measures a model against the teacher on held-out windows. */
export async function distanceOf(
  model: Model,
  teacher: Model,
  windows: readonly TrainWindow[],
  { device, memoryBytes, spillFolder, signal }: Pick<TrainContext, 'device' | 'memoryBytes' | 'spillFolder' | 'signal'>,
): Promise<Distance> {
  const scoring = { device, memoryBytes, spillFolder, report: silent, base: teacher, ...(signal && { signal }) };
  const { scores, baseScores = [], comparisons } = await scorePassages(model, windows, scoring);
  const { kl } = compareScores(baseScores, scores, { seed: 0, ...(comparisons && { comparisons }) });
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  const lost = scores.reduce((sum, score) => sum + score.negativeLogLikelihood, 0);
  return { kl: kl!, loss: lost / tokens };
}
