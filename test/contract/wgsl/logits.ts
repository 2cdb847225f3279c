import { type KernelCase, type KernelCases, random } from './kernel-case.js';

/** Logits of up to ±20 · `factor`; in each row some share the maximum, of which the lowest index leads. */
function logitsOf(rows: number, columns: number, seed: number, factor = 1): Float32Array {
  const logits = random([rows, columns], seed).data.map((value) => 20 * factor * value);
  for (let row = 0; row < rows; row += 1) {
    const of = logits.subarray(row * columns, (row + 1) * columns);
    of[(row * 31 + 5) % columns] = of[(row * 7) % columns] = Math.max(...of);
  }
  return logits;
}

function statistics(rows: number, columns: number, factor = 1): KernelCase {
  const logits = logitsOf(rows, columns, 21, factor);
  const targets = Int32Array.from({ length: rows }, (_, row) => (row * 7919) % columns);
  const expected = () => {
    const data = Array.from(targets).flatMap((target, row) => {
      const of = logits.subarray(row * columns, (row + 1) * columns);
      const largest = Math.max(...of);
      return [largest, of.reduce((sum, z) => sum + Math.exp(z - largest), 0), of.indexOf(largest), of[target]!];
    });
    return [{ data, shape: [rows, 4], tolerance: 1e-6 }];
  };
  return {
    name: `[${rows}, ${columns}] times ${factor}`,
    inputs: { logits: { data: logits, shape: [rows, columns] }, targets: { data: targets, shape: [rows] } },
    expected,
  };
}

export const logitStatisticsCases: KernelCases = {
  operation: 'birdbone.LogitStatistics',
  cases: [statistics(1, 1), statistics(3, 17), statistics(2, 1001), statistics(5, 1300), statistics(2, 257, 1e30)],
};

function divergence(rows: number, columns: number, equal = false): KernelCase {
  const base = logitsOf(rows, columns, 22);
  const now = equal ? base : logitsOf(rows, columns, 23);
  const expected = () => {
    const data = Array.from({ length: rows }, (_, row) => {
      const of = base.subarray(row * columns, (row + 1) * columns);
      const largest = Math.max(...of);
      const weights = Array.from(of, (z) => Math.exp(z - largest));
      const weighted = weights.reduce((sum, w, j) => sum + w * (of[j]! - now[row * columns + j]!), 0);
      return weighted / weights.reduce((sum, w) => sum + w, 0);
    });
    return [{ data, shape: [rows], tolerance: equal ? 0 : 1e-6 }];
  };
  const shape = [rows, columns];
  return {
    name: `[${shape}]${equal ? ' of the same' : ''}`,
    inputs: { base: { data: base, shape }, now: { data: now, shape } },
    expected,
  };
}

export const logitDivergenceCases: KernelCases = {
  operation: 'birdbone.LogitDivergence',
  cases: [divergence(1, 1), divergence(3, 17), divergence(5, 1300), divergence(4, 1001, true)],
};
