import type { ThresholdCluster } from './threshold-cluster.js';

/** What is believed of a cluster: nats of divergence for each weight that it loses more. */
export interface Price {
  readonly mean: number;
  readonly variance: number;
}

/** A candidate lies elsewhere than the last one, where prices are others: what is believed of them fades by this much a time. */
const DRIFT = 0.05;

/**
 * Prices learnt from what candidates have cost: a linear model of the divergence, δ = Σ price · weights moved, each price normally
 * distributed by itself. The posterior is that of Bayesian linear regression with covariances left out (a Kalman filter with a
 * diagonal matrix), so that an observation costs one pass over the clusters.
 */
export class Prices {
  readonly #means: Float64Array;
  readonly #variances: Float64Array;
  /** Before anything was learnt; what fades goes there. */
  readonly #prior: number;

  /** `first`: what a measurement of each cluster by itself has given. */
  constructor(first: readonly number[]) {
    this.#means = Float64Array.from(first);
    const spread = Math.sqrt(first.reduce((sum, price) => sum + price ** 2, 0) / Math.max(1, first.length));
    this.#prior = Math.max(spread ** 2 / 4, Number.MIN_VALUE);
    this.#variances = new Float64Array(first.length).fill(this.#prior);
  }

  /** Takes in that moving `weights` more out of each cluster (fewer: negative) has changed the divergence by `change`. */
  observe(weights: readonly number[], change: number): void {
    let expected = 0;
    let uncertainty = 0;
    for (const [i, moved] of weights.entries()) {
      expected += this.#means[i]! * moved;
      uncertainty += this.#variances[i]! * moved ** 2;
    }
    if (uncertainty === 0) return;
    // What a straight line cannot say of a change is taken to be as large as what is uncertain of it.
    const gain = 1 / (2 * uncertainty);
    const surprise = change - expected;
    for (const [i, moved] of weights.entries()) {
      if (moved === 0) continue;
      const variance = this.#variances[i]!;
      this.#means[i]! += gain * variance * moved * surprise;
      this.#variances[i] = variance * (1 - gain * variance * moved ** 2);
    }
  }

  /** What was believed becomes a little less certain. */
  fade(): void {
    for (const [i, variance] of this.#variances.entries()) {
      this.#variances[i] = variance + DRIFT * (this.#prior - variance);
    }
  }

  /** One draw of all prices as they might be (Thompson 1933): `normals` are independent standard normal numbers. */
  drawn(normals: readonly number[]): number[] {
    return normals.map((normal, i) => this.#means[i]! + Math.sqrt(this.#variances[i]!) * normal);
  }

  all(): Price[] {
    return Array.from(this.#means, (mean, i) => ({ mean, variance: this.#variances[i]! }));
  }
}

/**
 * Prices as they were measured, drawn half-way to the mean of their matrix: of a cluster of a few rows a measurement says less than of
 * many. Weighted by the clusters' weights, in logarithms; a price that is not above 0 counts as a hundredth of its matrix's.
 */
export function steadied(clusters: readonly ThresholdCluster[], measured: readonly number[]): number[] {
  const means = new Map<string, { sum: number; weights: number }>();
  for (const [i, { matrix, elements }] of clusters.entries()) {
    const mean = means.get(matrix) ?? { sum: 0, weights: 0 };
    means.set(matrix, { sum: mean.sum + Math.max(0, measured[i]!) * elements, weights: mean.weights + elements });
  }
  const dearest = Math.max(...measured, 0);
  return clusters.map(({ matrix }, i) => {
    const { sum, weights } = means.get(matrix)!;
    const mean = Math.max(sum / weights, dearest / LEAST_PRICE, Number.MIN_VALUE);
    return Math.sqrt(Math.max(measured[i]!, mean / LEAST_PRICE) * mean);
  });
}

const LEAST_PRICE = 100;
