import { type KernelCase, type KernelCases, random } from './kernel-case.js';

const { fround } = Math;

/** Float32 by float32, in the order of Knuth's two-sum; where a sum is endless, nothing is left out. */
function addToSums(name: string, shape: readonly number[], valuesAt: (i: number) => readonly [number, number, number]) {
  const count = shape.reduce((product, side) => product * side, 1);
  const rows = Array.from({ length: count }, (_, i) => valuesAt(i).map(fround));
  const column = (k: number) => ({ data: Float32Array.from(rows, (row) => row[k]!), shape });
  const expected = () => {
    const sums = rows.map(([high, , term]) => fround(high! + term!));
    const rests = rows.map(([high, low, term], i) => {
      if (!Number.isFinite(sums[i])) return 0;
      // Exact in float64 where the terms are less than 2^29 apart.
      return fround(low! + (high! + term! - sums[i]!));
    });
    return [
      { data: sums, shape, tolerance: 0 },
      { data: rests, shape, tolerance: 0 },
    ];
  };
  return { name, inputs: { high: column(0), low: column(1), terms: column(2) }, expected } satisfies KernelCase;
}

function randomTerms(shape: readonly number[]): KernelCase {
  const { data } = random([shape.reduce((product, side) => product * side, 1), 3], 9);
  return addToSums(`[${shape.join(', ')}]`, shape, (i) => {
    const [high, low, term] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    return [1000 * high, 1e-5 * low, term];
  });
}

export const addToSumsCases: KernelCases = {
  operation: 'birdbone.AddToSums',
  cases: [
    randomTerms([1]),
    randomTerms([3, 7]),
    randomTerms([36, 33]),
    addToSums('what a sum leaves out', [6], (i) => [2 ** 24, 0.5, 2 * i + 1]),
    addToSums('terms that are larger, or take everything away', [4], (i) => [3 - 2 ** -20, -(2 ** -24), -(3 ** i)]),
    addToSums('sums without an end', [4], (i) => [i % 2 === 0 ? 3e38 : Number.POSITIVE_INFINITY, 1, 3e38]),
  ],
};
