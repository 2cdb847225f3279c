import { errorFunction, probit } from 'simple-statistics';

/**
 * Control charts for a series of which nothing is known beforehand: is what comes now still like what came before? Both look for
 * a rise only: less damage than before needs no warning.
 */
export interface ChartSettings {
  /** CUSUM's allowance, in standard deviations: half of the shift that it is to find soonest. */
  readonly k: number;
  /** CUSUM's decision interval, in standard deviations. */
  readonly h: number;
  /** EWMA's weight of the newest value. */
  readonly lambda: number;
  /** EWMA's control limit, in standard deviations of the average. */
  readonly l: number;
}

/**
 * Usual settings: a one-sided CUSUM with k = 0.5 and h = 4 sounds once in 336 values that are in control, and after 3.3 that are
 * 2 standard deviations too high (Montgomery, "Introduction to Statistical Quality Control", table 9.3); an EWMA with λ = 0.25 and
 * L = 2.998 once in about 1000 (table 9.11, one side of it), and with its widening limits after 2.9.
 */
export const CHARTS: ChartSettings = { k: 0.5, h: 4, lambda: 0.25, l: 2.998 };

/** The value of a chart after one more point, and the limit above which it sounds. */
export interface ChartPoint {
  readonly value: number;
  readonly limit: number;
  readonly alarm: boolean;
}

/**
 * The upper CUSUM of values that are standard normal in control: S_i = max(0, S_{i−1} + z_i − k), which sounds above h and begins
 * again at 0 then. Source: Page 1954, "Continuous inspection schemes", Biometrika 41.
 */
export function cusum(values: readonly number[], settings: Pick<ChartSettings, 'k' | 'h'>): ChartPoint[] {
  let sum = 0;
  return values.map((z) => {
    const point = cusumPoint(sum, z, settings);
    sum = point.alarm ? 0 : point.value;
    return point;
  });
}

/** The CUSUM after one more value; the sum before it is 0 at the beginning and after an alarm. */
export function cusumPoint(sum: number, z: number, { k, h }: Pick<ChartSettings, 'k' | 'h'>): ChartPoint {
  const value = Math.max(0, sum + z - k);
  return { value, limit: h, alarm: value > h };
}

/** An EWMA between two values: both 0 at the beginning and after an alarm. */
export interface EwmaState {
  readonly average: number;
  /** Values that the average is of. */
  readonly count: number;
}

/**
 * The EWMA of values that are standard normal in control: E_i = λ z_i + (1 − λ) E_{i−1}, which sounds above L times its own
 * standard deviation √(λ/(2 − λ) · (1 − (1 − λ)^{2i})) and begins again at 0 then. Source: Roberts 1959, "Control chart tests
 * based on geometric moving averages", Technometrics 1; the limits that widen with i: Lucas & Saccucci 1990.
 */
export function ewma(values: readonly number[], settings: Pick<ChartSettings, 'lambda' | 'l'>): ChartPoint[] {
  let state: EwmaState = { average: 0, count: 0 };
  return values.map((z) => {
    const point = ewmaPoint(state, z, settings);
    state = point.alarm ? { average: 0, count: 0 } : { average: point.value, count: state.count + 1 };
    return point;
  });
}

/** The EWMA after one more value. */
export function ewmaPoint(
  { average, count }: EwmaState,
  z: number,
  { lambda, l }: Pick<ChartSettings, 'lambda' | 'l'>,
): ChartPoint {
  const value = lambda * z + (1 - lambda) * average;
  const limit = l * Math.sqrt((lambda / (2 - lambda)) * (1 - (1 - lambda) ** (2 * (count + 1))));
  return { value, limit, alarm: value > limit };
}

/** One observation, and how far it may be from what it stands for: the standard error of its measurement, 0 if unknown. */
export interface Observation {
  readonly value: number;
  readonly error: number;
}

/** The first so many values have nothing to be compared with. */
const LEARNS = 2;

/** Further than this from the middle, a double knows no probabilities. */
const FURTHEST = 8;

/**
 * The observations from the third on, each as a standard normal deviate that says how unusual it is after those before it. Where
 * the observations are independent and normal, so are these, exactly, whatever their mean and deviation: with T the distance from
 * the mean of the n − 1 values before in units of their deviation s, it is Φ⁻¹(F_{n−2}(√((n − 1)/n) · T)), F_ν being Student's
 * distribution. Source: Hawkins 1987, "Self-starting CUSUM charts for location and scale", The Statistician 36. s is at least the
 * error of the observation: a few values may agree by chance far better than they were measured.
 */
export function selfStarting(observations: readonly Observation[]): number[] {
  return observations.slice(LEARNS).map(({ value, error }, index) => {
    const before = observations.slice(0, index + LEARNS).map((observation) => observation.value);
    const n = before.length + 1;
    const mean = before.reduce((sum, x) => sum + x, 0) / before.length;
    const variance = before.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (before.length - 1);
    const deviation = Math.max(Math.sqrt(variance), error);
    if (value === mean) return 0;
    return normalDeviate(Math.sqrt((n - 1) / n) * ((value - mean) / deviation), n - 2);
  });
}

/** The standard normal deviate that is as unusual as `t` is under Student's distribution with `freedom` degrees. */
function normalDeviate(t: number, freedom: number): number {
  const tail = upperTail(Math.abs(t), freedom);
  // probit is asked in the lower tail, where a probability keeps its digits.
  const size = tail > 0 ? Math.min(FURTHEST, -probit(tail)) : FURTHEST;
  return t < 0 ? -size : size;
}

/**
 * P(T > t) for t ≥ 0 and whole degrees of freedom, in closed form: Abramowitz & Stegun 26.7.3 and 26.7.4. For t → ∞ it is the
 * difference of two nearly equal numbers, good to 1e-16: far beyond any limit of a chart.
 */
export function upperTail(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = freedom % 2 === 1;
  let term = isOdd ? cosine : 1;
  let series = freedom === 1 ? 0 : term;
  for (let i = isOdd ? 3 : 2; i <= freedom - 2; i += 2) {
    term *= (cosine ** 2 * (i - 1)) / i;
    series += term;
  }
  const between = isOdd ? (2 / Math.PI) * (angle + sine * series) : sine * series;
  return Math.max(0, (1 - between) / 2);
}

/** The settings under which `count` charts together sound as seldom as one does under `settings`. */
export function sharedBy(settings: ChartSettings, count: number): ChartSettings {
  if (count <= 1) return settings;
  // CUSUM's time to a false alarm grows as exp(2kh) (Siegmund 1985); an EWMA's tail is divided among the charts.
  const tail = (1 - errorFunction(settings.l / Math.SQRT2)) / 2 / count;
  return { ...settings, h: settings.h + Math.log(count) / (2 * settings.k), l: -probit(tail) };
}
