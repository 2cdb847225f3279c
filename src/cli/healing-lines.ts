import { sparkline } from './picture.js';
import { counted, formatCount, formatPercent } from './quantities.js';

/** What one healing did, in the details of its wave. */
interface ShownRecord {
  readonly matrices: number;
  readonly rank: number | 'full';
  readonly steps: number;
  readonly taken: number;
  readonly before: { readonly kl: number } | null;
  readonly after: { readonly kl: number } | null;
  readonly regained: number;
  readonly applied: boolean;
  readonly spikes: readonly object[];
  readonly curve: { readonly losses: readonly number[] };
}

/** A wave, and what its record says in detail. */
interface ShownWave {
  readonly wave: number;
  readonly details?: Readonly<Record<string, readonly object[]>> | undefined;
}

/** A line for each healing of the run: how much, and what it came to on the text that was held out for it. */
export function healingLines(waves: readonly ShownWave[]): string[] {
  return waves.flatMap(({ wave, details }) =>
    ((details?.['healing'] ?? []) as readonly ShownRecord[]).map((record) => `healing     ${lineOf(wave, record)}`),
  );
}

function lineOf(wave: number, { rank, matrices, taken, steps, curve, spikes, ...record }: ShownRecord): string {
  const what =
    rank === 'full' ? counted(matrices, 'matrix', 'matrices') : `${counted(matrices, 'adapter')} of rank ${rank}`;
  const much = taken === steps ? formatCount(steps) : `${formatCount(taken)} of ${formatCount(steps)}`;
  const { before, after, regained, applied } = record;
  const kl = `KL ${[before, after].map((each) => each?.kl.toPrecision(3) ?? 'no number').join(' → ')} held out`;
  const came = applied ? `${formatPercent(regained)} regained` : 'no gain, left as it was';
  const jumps = spikes.length === 0 ? '' : `, ${counted(spikes.length, 'loss spike')}`;
  return `wave ${wave}: ${what}, ${much} steps ${sparkline(curve.losses)}  ${kl}: ${came}${jumps}`;
}
