import * as Flags from '@oclif/core/flags';
import type { RecipeInput } from '../recipe.js';
import { count, envOf, ratio } from './flags.js';

/** What goes, and for which engine the result is made. */
export const shedFlags = {
  plates: Flags.option({
    options: ['weights', 'ffn', 'heads', 'experts', 'blocks', 'hidden', 'vocabulary', 'auto'] as const,
  })({
    summary:
      'What goes: single weights (the default), or whole plates, which make the model smaller; auto is heads and ffn, vocabulary what the texts never need.',
    env: envOf('plates'),
  }),
  shedding: Flags.option({ options: ['uniform', 'targeted', 'adaptive'] as const })({
    summary:
      'The same share of every block (the default), the best plates anywhere, or a share by measured sensitivity.',
    env: envOf('shedding'),
  }),
  fold: Flags.option({ options: ['ls', 'flap', 'none'] as const })({
    summary: 'What makes up for shed inputs: least squares in the others (the default), a bias (flap), or nothing.',
    env: envOf('fold'),
  }),
  target: Flags.option({ options: ['hf', 'vllm', 'llama.cpp'] as const })({
    summary: 'The engine that is to load the result, whose widths it keeps; hf by default.',
    env: envOf('target'),
  }),
  tp: count({ summary: 'Devices that the engine splits the result over; 1 by default.', env: envOf('tp') }),
  aggressiveness: ratio({
    summary: 'How many of the protected plates may go all the same; 50% by default.',
    env: envOf('aggressiveness'),
  }),
};

type Step = Extract<RecipeInput['steps'][number], { do: 'prune' }>;

/** The values of these flags, as oclif parses them. */
export interface ShedFlags {
  readonly plates?: Step['plates'];
  readonly shedding?: Step['shedding'];
  readonly fold?: Step['fold'];
  readonly target?: Step['target'];
  readonly tp?: number | undefined;
  readonly aggressiveness?: number | undefined;
}

/** The fields of a step that these flags set. */
export function shedFields({ plates, shedding, fold, target, tp, aggressiveness }: ShedFlags) {
  return { plates, shedding, fold, target, tensorParallel: tp, aggressiveness };
}
