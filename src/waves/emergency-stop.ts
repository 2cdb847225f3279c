import { shellWord } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { EmergencyStop, WaveJournalRecord } from '../state/index.js';

/** Why the numbers end, in words. */
export function stopText({ block, tensor, cause }: EmergencyStop): string {
  const where = block === undefined ? 'outside the blocks' : `in block ${block}`;
  const why = cause === 'value' ? 'holds NaN or an infinity' : 'makes values too large for a float32';
  return `the model gives no numbers: ${where}, ${tensor} ${why}`;
}

/** The end of a run whose last wave was dropped because its numbers ended. The journal has it; nothing is published. */
export function stoppedError({ wave, target, stopped }: WaveJournalRecord, out: string): BirdboneError {
  const { tensor } = stopped!;
  return new BirdboneError(
    'not-finite',
    `Wave ${wave}, to sparsity ${target.toFixed(3)}, was dropped and the run stopped: ${stopText(stopped!)}. Nothing was published.`,
    {
      tensor,
      suggestions: [
        'Go on with half the step: --resume',
        `See the waves before it: birdbone log ${shellWord(out)}`,
        'Prune less, by another metric, or leave that tensor out.',
      ],
    },
  );
}
