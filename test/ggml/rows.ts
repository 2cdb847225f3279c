import { randomSource } from './random.js';

export interface Rows {
  readonly columns: number;
  readonly values: Float32Array;
  /** One for each column. */
  readonly weights: Float32Array;
}

/**
 * 24 rows of 768 values as weights have them (normal, σ = 0.02, some six times as large), and rows that are hard: all one number, all
 * zero, zero but for one, positive throughout, near the smallest half, large.
 */
export function rowsOfWeights(): Rows {
  const columns = 768;
  const rows = 24;
  const { uniform, normal } = randomSource(12_345);
  const values = Float32Array.from({ length: rows * columns }, () => normal() * 0.02 * (uniform() < 0.02 ? 6 : 1));
  const row = (index: number) => values.subarray(index * columns, (index + 1) * columns);
  row(16).fill(0.5);
  row(17).fill(-0.25);
  row(18).fill(0);
  row(19).fill(0)[300] = 1;
  for (const [i, value] of row(20).entries()) row(20)[i] = Math.abs(value) + 0.1;
  for (const [i, value] of row(21).entries()) row(21)[i] = value * 1e-6;
  for (const [i, value] of row(22).entries()) row(22)[i] = value * 1e5;
  for (const [i, value] of row(23).entries()) row(23)[i] = i % 32 < 16 ? value : 0;
  return { columns, values, weights: Float32Array.from({ length: columns }, () => Math.exp(2 * normal())) };
}
