import type { Model } from '../model/index.js';
import { measurementTokens } from '../thresholds/index.js';
import { prunableLinears, prunableWeights } from './plan-masks.js';
import { type EditCost, NO_GRAMS } from './solver-cost.js';
import { clusterSettings, searchSettings, type ThresholdSettings } from './threshold-settings.js';
import { DECIDING_TOKENS, TUNING_TOKENS } from './threshold-trial.js';

/** Clusters that `auto` is taken to find. */
const AUTO_CLUSTERS = 4;

/** Floating-point operations of a search for thresholds at most, besides the passes that every measured division takes. */
export function thresholdCost(model: Model, settings: ThresholdSettings, calibrationTokens: number): EditCost {
  const { blocks, hidden, vocabulary } = model.decoder;
  const linears = blocks.flatMap(({ index }) => prunableLinears(model, index));
  const weights = prunableWeights(model) + hidden * vocabulary;
  const { k } = clusterSettings(settings, 0);
  const clusters = linears.length * (k === 'auto' ? AUTO_CLUSTERS : k);
  const half = Math.floor(calibrationTokens / 2);
  const tokens = { tuning: Math.min(TUNING_TOKENS, half), deciding: Math.min(DECIDING_TOKENS, half) };
  const measured = measurementTokens(searchSettings(settings), clusters, tokens);
  return { flops: 2 * weights * measured, ...NO_GRAMS };
}
