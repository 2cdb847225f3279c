import { dequantizeMatrix, packRows, quantizeMatrix, schemeOf } from '../../../src/quantization/index.js';
import { type KernelCase, type KernelCases, type Operand, random } from './kernel-case.js';

interface Grouping {
  readonly group: number;
  readonly bits: 2 | 4 | 8;
  readonly symmetric?: boolean;
}

/** Codes, scales and zero points that quantization/ makes of values, and what they stand for there, bit for bit. */
function unpack(name: string, { data, shape }: Operand, { group, bits, symmetric = true }: Grouping): KernelCase {
  const [rows, columns] = shape as [number, number];
  const scheme = { ...schemeOf(`int${bits}`, {}), strategy: 'group' as const, groupSize: group, symmetric };
  const matrix = quantizeMatrix(data as Float32Array, rows, columns, scheme);
  const packed = packRows(matrix.codes as Uint8Array, rows, columns, bits);
  const [rowBytes, wordsPerRow] = [packed.length / rows, Math.ceil((columns * bits) / 32)];
  const words = new Uint8Array(4 * rows * wordsPerRow);
  for (let row = 0; row < rows; row += 1) {
    words.set(packed.subarray(row * rowBytes, (row + 1) * rowBytes), 4 * row * wordsPerRow);
  }
  const { values, zeroPoints } = matrix.scales;
  const perGroup = [rows, Math.ceil(columns / group)];
  return {
    name,
    inputs: {
      words: { data: new Int32Array(words.buffer), shape: [rows, wordsPerRow] },
      scales: { data: values, shape: perGroup },
      zeros: { data: Float32Array.from(values, (_, i) => zeroPoints?.[i] ?? 2 ** (bits - 1)), shape: perGroup },
    },
    attributes: { group, bits, columns },
    expected: () => [{ data: dequantizeMatrix(matrix), shape, tolerance: 0 }],
  };
}

const wide = random([9, 128], 6);
const scaled: Operand = { ...wide, data: wide.data.map((value, i) => value * 10 ** ((i % 1152) / 88 - 9)) };

export const unpackGroupsCases: KernelCases = {
  operation: 'birdbone.UnpackGroups',
  cases: [
    unpack('one value', random([1, 1], 1), { group: 32, bits: 4 }),
    unpack('4 bits of [5, 200], a shorter group last', random([5, 200], 2), { group: 64, bits: 4 }),
    unpack('4 bits of [67, 39], rows that end within a word', random([67, 39], 3), { group: 32, bits: 4 }),
    unpack('8 bits of [3, 130]', random([3, 130], 4), { group: 128, bits: 8 }),
    unpack('2 bits of [4, 96]', random([4, 96], 5), { group: 32, bits: 2 }),
    unpack('from 1e-9 to 1e4', scaled, { group: 32, bits: 4 }),
    unpack('zero points of [7, 64]', random([7, 64], 7), { group: 32, bits: 4, symmetric: false }),
    unpack('zero points of 8 bits, one group a row', random([4, 40], 8), { group: 40, bits: 8, symmetric: false }),
  ],
};
