import type { Values } from '../ops-oracle.js';
import { type KernelCase, type KernelCases, random } from './kernel-case.js';

/** The first `turned` of each head's dimensions turn, by tables whose halves differ, as those of a gradient do. */
function rotary(shape: readonly [number, number, number, number], turned: number = shape[3]): KernelCase {
  const [, , tokens, width] = shape;
  const x = random(shape, 3);
  const [cos, sin] = [random([tokens, turned], 4), random([tokens, turned], 5)];
  const expected = (): Values => {
    const data = Float64Array.from(x.data);
    for (let index = 0; index < data.length; index += 1) {
      const column = index % width;
      if (column >= turned) continue;
      const table = (Math.floor(index / width) % tokens) * turned + column;
      const half = turned / 2;
      const other = column < half ? -x.data[index + half]! : x.data[index - half]!;
      data[index] = x.data[index]! * cos.data[table]! + other * sin.data[table]!;
    }
    return { data, shape };
  };
  return {
    name: `[${shape}], ${turned} turned`,
    inputs: { x, cos, sin },
    expected: () => [{ ...expected(), tolerance: 1e-6 }],
  };
}

export const rotaryCases: KernelCases = {
  operation: 'birdbone.Rotary',
  cases: [rotary([1, 1, 1, 2]), rotary([2, 3, 17, 6]), rotary([1, 4, 65, 10])],
};

export const partialRotaryCases: KernelCases = {
  operation: 'birdbone.PartialRotary',
  cases: [rotary([1, 1, 1, 4], 2), rotary([2, 3, 17, 10], 4), rotary([1, 2, 65, 80], 32)],
};
