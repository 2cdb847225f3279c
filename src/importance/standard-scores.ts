import { mean, sampleStandardDeviation } from 'simple-statistics';

/**
 * (x − mean) / standard deviation of each value among the others: what makes the channels of different layers comparable, whose
 * scores differ in scale (An et al. 2024, FLAP, eq. 6). 0 for all where all are equal, or there is one.
 */
export function standardScores(values: readonly number[]): number[] {
  if (values.length < 2) return values.map(() => 0);
  const centre = mean([...values]);
  const deviation = sampleStandardDeviation([...values]);
  return values.map((value) => (deviation > 0 ? (value - centre) / deviation : 0));
}
