import type { PlateRange } from './plate.js';
import type { Protection } from './protection.js';

/**
 * A channel is an outlier when the norm of its activations is more than this many times that of the median channel. Trained
 * models carry a few such channels (Dettmers et al. 2022; "massive activations", Sun et al. 2024), and lose everything with them.
 */
export const OUTLIER_FACTOR = 8;
/** At aggressiveness 1 only channels beyond 10 × OUTLIER_FACTOR stay protected; in between, evenly on a logarithmic scale. */
const RELEASE_DECADES = 1;
/** An outlier more than half of whose energy is in the first tokens of the windows is where attention is parked. */
export const SINK_SHARE = 0.5;

/** What calibration showed of some channels: one figure per plate of the range. */
export interface ChannelActivity {
  readonly range: PlateRange;
  /** ‖x_j‖₂ over the calibration tokens; of a group of columns, over all of them. */
  readonly norms: Float64Array;
  /** Part of the squared norm that lies in the first tokens of the windows, where it is known. */
  readonly firstTokenShares?: Float64Array;
  /** Where the activations were seen, for the message: "the residual stream before block 3". */
  readonly where: string;
}

/** Channels whose norm is more than `OUTLIER_FACTOR` times the median of the channels that are not silent. */
export function protectOutliers({ range, norms, firstTokenShares, where }: ChannelActivity): Protection[] {
  const typical = median(norms.filter((norm) => norm > 0));
  const found: Protection[] = [];
  for (const [i, norm] of norms.entries()) {
    const ratio = norm / typical;
    if (!(ratio > OUTLIER_FACTOR)) continue;
    const share = firstTokenShares?.[i] ?? 0;
    const isSink = share > SINK_SHARE;
    const first = isSink ? `, ${Math.round(100 * share)} % of its square in the first tokens of the windows` : '';
    found.push({
      plates: { ...range, start: range.start + i, count: 1 },
      reason: isSink ? 'attention-sink' : 'outlier-channel',
      why: `its norm in ${where} is ${figure(ratio)} times the median channel's, above ${OUTLIER_FACTOR}${first}`,
      release: isSink ? Number.POSITIVE_INFINITY : Math.log10(ratio / OUTLIER_FACTOR) / RELEASE_DECADES,
    });
  }
  return found;
}

/** The middle of the values, or the mean of the two in the middle; NaN of none. */
export function median(values: Float64Array): number {
  const sorted = values.slice().sort();
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function figure(ratio: number): string {
  return ratio >= 100 ? String(Math.round(ratio)) : ratio.toPrecision(2);
}
