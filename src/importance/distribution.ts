/** Bins share their sign-less float's exponent and top 7 mantissa bits: 128 to every factor of two, so 1/128 wide at most. */
const BIN_SHIFT = 16;
const BINS = 2 ** 15;
const BINS_PER_OCTAVE = 128;
/** Bins below this one hold the subnormal numbers and zero, whose width is absolute. */
const FIRST_NORMAL_BIN = BINS_PER_OCTAVE;

export const QUANTILES = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99] as const;

export interface Quantile {
  readonly fraction: number;
  readonly value: number;
}

/** Scores in [from, to). Bounds are powers of two, the same for every matrix, so that histograms can be laid side by side. */
export interface HistogramBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** The distribution of finite scores ≥ 0 in fixed memory (256 KB), whatever their number; exact but for the quantiles. */
export class Distribution {
  readonly #bins = new Float64Array(BINS);
  #count = 0;

  /** Counts in one slice; `bits` are its scores' IEEE 754 single-precision patterns. */
  add(bits: Int32Array): void {
    const bins = this.#bins;
    for (let i = 0; i < bits.length; i++) bins[(bits[i]! & 0x7fffffff) >>> BIN_SHIFT]! += 1;
    this.#count += bits.length;
  }

  /** The score below which `fraction` of all lie, within 1/128 of its value (linear inside a bin). */
  quantile(fraction: number): number {
    const rank = fraction * (this.#count - 1);
    let before = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const inside = this.#bins[bin]!;
      if (before + inside > rank) {
        const low = lowerEdge(bin);
        return low + (lowerEdge(bin + 1) - low) * ((rank - before) / inside);
      }
      before += inside;
    }
    return 0;
  }

  /** Non-empty bins from small to large, one per factor of two; the first holds everything below 2⁻¹²⁶, zero included. */
  histogram(): HistogramBin[] {
    const result: HistogramBin[] = [];
    for (let start = 0; start < BINS; start += BINS_PER_OCTAVE) {
      let count = 0;
      for (let bin = start; bin < start + BINS_PER_OCTAVE; bin++) count += this.#bins[bin]!;
      if (count > 0) result.push({ from: lowerEdge(start), to: lowerEdge(start + BINS_PER_OCTAVE), count });
    }
    return result;
  }
}

/** The smallest single-precision number of a bin. */
function lowerEdge(bin: number): number {
  if (bin < FIRST_NORMAL_BIN) return (bin / BINS_PER_OCTAVE) * 2 ** -126;
  const exponent = Math.floor(bin / BINS_PER_OCTAVE) - 127;
  return (1 + (bin % BINS_PER_OCTAVE) / BINS_PER_OCTAVE) * 2 ** exponent;
}
