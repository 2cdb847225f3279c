import { BirdboneError } from '../errors.js';
import { apartAbove, batchesOf, type Model, type TokenBatch, tokensPerBatch } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { windowGroups } from './schedule.js';
import type { HealSettings, TrainWindow } from './types.js';

/** Windows in groups of a step, each in batches that fit the device. */
export function batchGroups(
  { decoder }: Model,
  windows: readonly TrainWindow[],
  { batchWindows, seed }: HealSettings,
  device: Device,
): TokenBatch[][] {
  const useful = windows.filter(({ ids }) => ids.length > 1);
  if (useful.length === 0) throw nothingToPredict(windows.length);
  const longest = useful.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const maxTokens = tokensPerBatch(decoder, longest, device);
  return windowGroups(useful.length, batchWindows, seed).map((group) =>
    batchesOf(
      group.map((window) => useful[window]!),
      maxTokens,
      apartAbove(decoder),
    ),
  );
}

function nothingToPredict(count: number): BirdboneError {
  return new BirdboneError(
    'usage',
    `None of the ${count} windows to heal on has two tokens: healing learns the next one.`,
    {
      suggestions: ['Give more text.', 'Use longer windows: --context 256'],
    },
  );
}
