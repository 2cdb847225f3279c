import { predictWave } from '../damage/index.js';
import type { Decoder } from '../model/index.js';
import type { ForetoldDamage, History, WaveJournalRecord } from '../state/index.js';

/**
 * What the waves of the same step said beforehand of one that was measured, and what came of it; undefined where they say nothing. A wave
 * that was rolled back tells as much as one that was kept.
 */
export function predictionOf(past: History, wave: WaveJournalRecord, decoder: Decoder): ForetoldDamage | undefined {
  const blocks = new Map(decoder.blocks.flatMap(({ index, linears }) => linears.map(({ weight }) => [weight, index])));
  const before = past.waves.filter(({ step, changed, stopped }) => step === wave.step && changed && !stopped);
  return predictWave(before, wave, (name) => blocks.get(name));
}
