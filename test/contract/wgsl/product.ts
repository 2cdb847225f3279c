import { type KernelCase, type KernelCases, random } from './kernel-case.js';

interface Operands {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** Batches are alike, or one of them is a single matrix. */
function product({ a: shapeA, b: shapeB, transposeA = false, transposeB = false }: Operands): KernelCase {
  const [a, b] = [random(shapeA, 1), random(shapeB, 2)];
  const [rowsA, columnsA] = shapeA.slice(-2) as [number, number];
  const [rowsB, columnsB] = shapeB.slice(-2) as [number, number];
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const n = transposeB ? rowsB : columnsB;
  const [countA, countB] = [a.data.length / (m * k), b.data.length / (k * n)];
  const batch = (countA > countB || shapeA.length >= shapeB.length ? shapeA : shapeB).slice(0, -2);
  const expected = () => {
    const data = new Float64Array(Math.max(countA, countB) * m * n);
    data.forEach((_, index) => {
      const [matrix, row, column] = [Math.floor(index / (m * n)), Math.floor(index / n) % m, index % n];
      const fromA = countA === 1 ? 0 : matrix * m * k;
      const fromB = countB === 1 ? 0 : matrix * k * n;
      for (let i = 0; i < k; i += 1) {
        const left = a.data[fromA + (transposeA ? i * m + row : row * k + i)]!;
        data[index]! += left * b.data[fromB + (transposeB ? column * k + i : i * n + column)]!;
      }
    });
    return [{ data, shape: [...batch, m, n], tolerance: 2e-6 }];
  };
  const name = `[${shapeA}]${transposeA ? 'ᵀ' : ''} · [${shapeB}]${transposeB ? 'ᵀ' : ''}`;
  return { name, inputs: { a, b }, attributes: { transposeA, transposeB }, expected };
}

export const productCases: KernelCases = {
  operation: 'birdbone.Product',
  // Few, as each way in which operands lie is a shader of its own, which a GPU in software takes seconds to compile.
  cases: [
    product({ a: [1, 1], b: [1, 1] }),
    product({ a: [35, 70], b: [70, 67] }),
    product({ a: [2, 3, 7, 9], b: [2, 3, 9, 6] }),
    product({ a: [3, 7, 9], b: [1, 9, 6] }),
    product({ a: [7, 9], b: [2, 2, 9, 6] }),
    product({ a: [33, 66], b: [70, 33], transposeA: true, transposeB: true }),
    product({ a: [65, 132], b: [68, 132], transposeB: true }),
    product({ a: [2, 5, 4], b: [2, 12, 4], transposeB: true }),
    product({ a: [36, 132], b: [36, 132], transposeA: true }),
  ],
};
