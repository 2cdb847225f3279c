/** Figures of one neuron's outputs over tokens; all but the first two need no scale. */
export interface OutputMoments {
  /** [neurons]. */
  readonly mean: Float64Array;
  /** Population variance (divided by the number of tokens) [neurons]. */
  readonly variance: Float64Array;
  /** Excess kurtosis, 0 for a normal distribution; 0 where nothing varies [neurons]. */
  readonly kurtosis: Float64Array;
  /** 1 − (mean |x|)² / mean x²: 0 for a constant amount, towards 1 when few tokens have all of it (Treves & Rolls 1991) [neurons]. */
  readonly sparseness: Float64Array;
  /** Fraction of the tokens at which its amount is above the root mean square of all neurons at that token [neurons]. */
  readonly firing: Float64Array;
}

/** Rows of what the device sums up for some tokens, in this order; each [neurons]. */
export const MOMENT_ROWS = ['mean', 'first', 'second', 'third', 'fourth', 'amount', 'firing'] as const;

/**
 * Moments up to the fourth, merged group of tokens by group of tokens in float64: unlike power sums they keep what a neuron whose
 * mean is far larger than its deviation does. Source: Pébay 2008, "Formulas for Robust, One-Pass Parallel Computation of
 * Covariances and Arbitrary-Order Statistical Moments", SAND2008-6212, (2.1) and (3.1).
 */
export class MomentSums {
  readonly #neurons: number;
  readonly #means: Float64Array;
  readonly #second: Float64Array;
  readonly #third: Float64Array;
  readonly #fourth: Float64Array;
  readonly #amounts: Float64Array;
  readonly #firing: Float64Array;
  #tokens = 0;

  constructor(neurons: number) {
    this.#neurons = neurons;
    const zeros = () => new Float64Array(neurons);
    this.#means = zeros();
    this.#second = zeros();
    this.#third = zeros();
    this.#fourth = zeros();
    this.#amounts = zeros();
    this.#firing = zeros();
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Takes in `rows` tokens: `found` holds `MOMENT_ROWS`, sums of powers being about the device's mean. */
  add(found: Float32Array, rows: number): void {
    const n = this.#neurons;
    for (let j = 0; j < n; j += 1) {
      const at = (row: number) => found[row * n + j]!;
      // The device's mean is rounded: what is left of it shows in the deviations' own mean.
      const rest = at(1) / rows;
      const second = at(2) - rest * rest * rows;
      const third = at(3) - 3 * rest * at(2) + 2 * rest ** 3 * rows;
      const fourth = at(4) - 4 * rest * at(3) + 6 * rest * rest * at(2) - 3 * rest ** 4 * rows;
      this.#merge(j, rows, [at(0) + rest, second, third, fourth]);
      this.#amounts[j]! += at(5);
      this.#firing[j]! += at(6);
    }
    this.#tokens += rows;
  }

  finish(): OutputMoments {
    const tokens = Math.max(1, this.#tokens);
    const variance = this.#second.map((sum) => Math.max(0, sum / tokens));
    return {
      mean: this.#means,
      variance,
      kurtosis: this.#fourth.map((sum, j) => (variance[j]! > 0 ? sum / tokens / variance[j]! ** 2 - 3 : 0)),
      sparseness: this.#amounts.map((sum, j) => {
        const square = variance[j]! + this.#means[j]! ** 2;
        return square > 0 ? Math.max(0, 1 - (sum / tokens) ** 2 / square) : 0;
      }),
      firing: this.#firing.map((count) => count / tokens),
    };
  }

  #merge(j: number, b: number, [mean, second, third, fourth]: readonly [number, number, number, number]): void {
    const a = this.#tokens;
    const n = a + b;
    const [s, t] = [this.#second[j]!, this.#third[j]!];
    const delta = mean - this.#means[j]!;
    const share = (delta * delta * a * b) / n;
    this.#means[j]! += (delta * b) / n;
    this.#second[j] = s + second + share;
    this.#third[j] = t + third + (delta * share * (a - b)) / n + (3 * delta * (a * second - b * s)) / n;
    this.#fourth[j]! +=
      fourth +
      (delta * delta * share * (a * a - a * b + b * b)) / (n * n) +
      (6 * delta * delta * (a * a * second + b * b * s)) / (n * n) +
      (4 * delta * (a * third - b * t)) / n;
  }
}
