import { median } from 'simple-statistics';

/** Losses below this are as good as none: float32 tells them apart by chance. */
const LEAST_LOSS = 1e-9;

/**
 * The scale that losses are looked at on. They are positive (cross-entropies, divergences, squared errors) and vary in proportion to
 * themselves: their logarithms scatter alike at the beginning of a training and at its end, and a loss that falls by the same
 * factor every so many steps falls along a line.
 */
export function levelOf(loss: number): number {
  return Math.log(Math.max(loss, LEAST_LOSS));
}

/** What the levels of a window are like: where they are now, how they scatter, and for how long they remember. */
export interface Baseline {
  /** Where the next level is expected, without a rise. */
  readonly centre: number;
  /** Standard deviation about the window's own course, if they are normal. */
  readonly scale: number;
  /** That of the next loss about `centre`, which is uncertain itself. */
  readonly nextScale: number;
  /** Correlation of a level with the next, 0 to `MOST_CORRELATED`: noise that wanders. */
  readonly correlation: number;
}

/** Fewer values than this tell nothing of their scatter. */
export const LEARNS = 20;

/** The deviation of a normal distribution over the median of its absolute deviations: 1 / Φ⁻¹(3/4). */
const MAD_TO_DEVIATION = 1.4826;

/**
 * A rise by less than a few thousandths of the loss is nothing to act on, however smooth the loss is: losses over the same windows
 * again and again are reproducible to the last digits.
 */
const LEAST_SCALE = 0.002;

/** Nothing can be told of noise that wanders for longer than the window is. */
const MOST_CORRELATED = 0.9;

/** Residuals further out than this many deviations are taken for so far: one spike must not make all others look related. */
const FURTHEST = 3;

/**
 * The baseline of these levels, at least `LEARNS`, oldest first. Falling losses are what training is for, so the centre is the lower of two medians,
 * of all and of the newest third, and the scatter is that about a line through the window (Tukey's resistant line, "Exploratory Data
 * Analysis", 1977: through the medians of the outer thirds), which a steady descent does not widen.
 */
export function baselineOf(levels: readonly number[]): Baseline {
  const third = Math.floor(levels.length / 3);
  const newest = median(levels.slice(-third));
  const oldest = median(levels.slice(0, third));
  const slope = (newest - oldest) / (levels.length - third);
  const flat = levels.map((level, i) => level - slope * i);
  const middle = median(flat);
  const residuals = flat.map((value) => value - middle);
  const centre = Math.min(median([...levels]), newest);
  const raw = Math.max(MAD_TO_DEVIATION * median(residuals.map(Math.abs)), LEAST_SCALE);
  const correlation = correlationOf(residuals, raw);
  const memory = longRun(correlation) ** 2;
  // The line follows what it is drawn through: two numbers were fitted, and of a long memory more is lost.
  const scale = raw / Math.sqrt(1 - Math.min(0.5, (2 * memory) / levels.length));
  return { centre, scale, nextScale: scale * Math.sqrt(1 + (Math.PI / 2) * (memory / third)), correlation };
}

/**
 * The first autocorrelation, residuals beyond `FURTHEST` scales drawn in. A short series shows too little of it: what is missing
 * is (1 + 4φ)/n. Source: Marriott & Pope 1954, "Bias in the estimation of autocorrelations", Biometrika 41.
 */
function correlationOf(residuals: readonly number[], scale: number): number {
  const near = residuals.map((value) => Math.max(-FURTHEST, Math.min(FURTHEST, value / scale)));
  const mean = near.reduce((sum, value) => sum + value, 0) / near.length;
  let [products, squares] = [0, 0];
  for (const [i, value] of near.entries()) {
    squares += (value - mean) ** 2;
    if (i > 0) products += (value - mean) * (near[i - 1]! - mean);
  }
  if (squares === 0) return 0;
  const found = products / squares;
  return Math.max(0, Math.min(MOST_CORRELATED, found + (1 + 4 * found) / near.length));
}

/**
 * By how much more than independent values ones of this correlation deviate in averages: √((1 + φ)/(1 − φ)), the long-run deviation
 * of a first-order autoregression over its own.
 */
export function longRun(correlation: number): number {
  return Math.sqrt((1 + correlation) / (1 - correlation));
}
