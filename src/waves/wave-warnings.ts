import type { History, Warning, WaveJournalRecord } from '../state/index.js';
import { type DamagePoint, warningsAt } from './warnings.js';

/** How many standard errors a 95 % interval is wide. */
const INTERVAL_ERRORS = 2 * 1.96;

type Measured = Pick<WaveJournalRecord, 'figures' | 'removed' | 'blocks'>;

/** The warnings that a wave gives which has passed its gate, after those that were kept before it. */
export function warningsOf(past: History, wave: Measured): Warning[] {
  const kept = past.waves.filter(({ active, changed }) => active && changed);
  const points = [...kept, wave].map(pointOf);
  // Without figures of every wave there is no series: a journal of an earlier version, or a run that measures nothing.
  return points.every((point) => point !== undefined) ? warningsAt(points) : [];
}

function pointOf({ figures, removed, blocks }: Measured): DamagePoint | undefined {
  const { accuracyLoss, accuracyLossLow, accuracyLossHigh } = figures;
  if (accuracyLoss === undefined || !Number.isFinite(accuracyLoss) || removed === undefined) return undefined;
  const width = (accuracyLossHigh ?? Number.NaN) - (accuracyLossLow ?? Number.NaN);
  return {
    removed: removed.parameters,
    accuracyLoss,
    accuracyLossError: Number.isFinite(width) ? width / INTERVAL_ERRORS : 0,
    ...(blocks && { blocks: blocks.errors }),
  };
}
