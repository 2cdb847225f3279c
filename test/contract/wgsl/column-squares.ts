import { type KernelCase, type KernelCases, random } from './kernel-case.js';

function columnSquares(rows: number, columns: number): KernelCase {
  const x = random([rows, columns], rows + columns);
  return {
    name: `[${rows}, ${columns}]`,
    inputs: { x },
    expected: () => {
      const data = new Float64Array(columns);
      x.data.forEach((value, index) => {
        data[index % columns]! += value * value;
      });
      return [{ data, shape: [columns], tolerance: 1e-6 }];
    },
  };
}

export const columnSquaresCases: KernelCases = {
  operation: 'birdbone.ColumnSquares',
  cases: [columnSquares(1, 1), columnSquares(17, 3), columnSquares(130, 65), columnSquares(7, 257)],
};
