import { type KernelCase, type KernelCases, random } from './kernel-case.js';

function gram(rows: number, columns: number, mirrored: boolean): KernelCase {
  const x = random([rows, columns], rows);
  const expected = () => {
    const data = Array.from({ length: columns * columns }, (_, index) => {
      const [i, j] = [Math.floor(index / columns), index % columns];
      if (i > j && !mirrored) return undefined;
      let sum = 0;
      for (let row = 0; row < rows; row += 1) sum += x.data[row * columns + i]! * x.data[row * columns + j]!;
      return sum;
    });
    return [{ data, shape: [columns, columns], tolerance: 1e-6 }];
  };
  return {
    name: `[${rows}, ${columns}]${mirrored ? ', mirrored' : ''}`,
    inputs: { x },
    attributes: { mirrored },
    expected,
  };
}

export const gramCases: KernelCases = {
  operation: 'birdbone.Gram',
  cases: [gram(33, 100, true), gram(5, 36, true), gram(18, 132, false)],
};
