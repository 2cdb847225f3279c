/** x xᵀ of the samples of some outputs, [count, count] row-major, its columns centred before. */
export interface SampleGram {
  readonly values: Float32Array;
  readonly count: number;
}

/** Below this many samples the unbiased estimator divides by zero. */
const FEWEST = 4;

/**
 * Linear centred kernel alignment of two outputs of the same tokens, from their Gram matrices: 1 where they agree but for rotation and
 * scale, about 0 where they have nothing to do with each other; null where it is not defined.
 *
 * By the unbiased estimator of HSIC. The usual, biased one says 0.9 of outputs that are unrelated where there are fewer tokens than
 * dimensions, as here there are. Sources: Kornblith et al. 2019, "Similarity of neural network representations revisited"; Song et
 * al. 2012, "Feature selection via dependence maximization", eq. 5.
 */
export function alignment(left: SampleGram, right: SampleGram): number | null {
  if (left.count < FEWEST || left.count !== right.count) return null;
  const [own, other] = [independence(left, left), independence(right, right)];
  if (!(own > 0 && other > 0)) return null;
  const found = independence(left, right) / Math.sqrt(own * other);
  // By Cauchy and Schwarz at most 1, but for rounding.
  return Number.isFinite(found) ? Math.min(1, found) : null;
}

/** The unbiased estimate of the Hilbert–Schmidt independence criterion. */
function independence(left: SampleGram, right: SampleGram): number {
  const { count: n } = left;
  const [leftRows, rightRows] = [rowSums(left), rowSums(right)];
  let trace = 0;
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) if (i !== j) trace += left.values[i * n + j]! * right.values[i * n + j]!;
  }
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  const rows = leftRows.reduce((total, value, i) => total + value * rightRows[i]!, 0);
  const pairs = (sum(leftRows) * sum(rightRows)) / ((n - 1) * (n - 2));
  return (trace + pairs - (2 * rows) / (n - 2)) / (n * (n - 3));
}

/** Sums of each row without its diagonal element. */
function rowSums({ values, count }: SampleGram): Float64Array {
  const sums = new Float64Array(count);
  for (let i = 0; i < count; i += 1) {
    for (let j = 0; j < count; j += 1) if (i !== j) sums[i]! += values[i * count + j]!;
  }
  return sums;
}
