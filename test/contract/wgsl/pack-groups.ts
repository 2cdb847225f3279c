import { dequantizeMatrix, packRows, quantizeMatrix, schemeOf } from '../../../src/quantization/index.js';
import { type KernelCase, type KernelCases, type Operand, random } from './kernel-case.js';

interface Packing {
  readonly group: number;
  readonly bits: 2 | 4 | 8;
}

/** What quantization/ makes of it on the host, bit for bit. */
function byHost({ data, shape }: Operand, { group, bits }: Packing) {
  const [rows, columns] = shape as [number, number];
  const scheme = { ...schemeOf(`int${bits}`, {}), strategy: 'group' as const, groupSize: group };
  const matrix = quantizeMatrix(data as Float32Array, rows, columns, scheme);
  const wordsPerRow = Math.ceil((columns * bits) / 32);
  const words = new Int32Array(rows * wordsPerRow);
  const bytes = new Uint8Array(words.buffer);
  const packed = packRows(matrix.codes as Uint8Array, rows, columns, bits);
  const rowBytes = packed.length / rows;
  for (let row = 0; row < rows; row += 1) {
    bytes.set(packed.subarray(row * rowBytes, (row + 1) * rowBytes), row * 4 * wordsPerRow);
  }
  return {
    matrix,
    words: { data: words, shape: [rows, wordsPerRow] },
    scales: { data: matrix.scales.values, shape: [rows, Math.ceil(columns / group)] },
  };
}

function pack(name: string, values: Operand, packing: Packing): KernelCase {
  const expected = () => {
    const { words, scales } = byHost(values, packing);
    return [
      { ...words, tolerance: 0 },
      { ...scales, tolerance: 0 },
    ];
  };
  return { name, inputs: { values }, attributes: { ...packing }, expected };
}

function unpack(name: string, values: Operand, packing: Packing): KernelCase {
  const { matrix, words, scales } = byHost(values, packing);
  const expected = () => [{ data: dequantizeMatrix(matrix), shape: values.shape, tolerance: 0 }];
  return { name, inputs: { words, scales }, attributes: { ...packing, columns: values.shape[1]! }, expected };
}

const scaled = (shape: readonly [number, number], seed: number, factor: (i: number) => number): Operand => ({
  shape,
  data: random(shape, seed).data.map((value, i) => value * factor(i)),
});

/** Multiples of half a step under a scale of 1: every second one lies half way between two codes. */
const halfWays: Operand = { shape: [2, 64], data: Float32Array.from({ length: 128 }, (_, i) => (i % 16) / 2 - 0.5) };

/** Largest magnitudes of 7.5 times a half plus half of its last place: ties of the scale itself. */
const tiedScales: Operand = {
  shape: [8, 32],
  data: Float32Array.from({ length: 256 }, (_, i) => {
    const row = Math.floor(i / 32);
    return i % 32 === 0 ? 7.5 * (1 + (2 * row + 1) / 2048) : (row + 1) / (1 + i);
  }),
};

const matrices: readonly (readonly [string, Operand, Packing])[] = [
  ['one value', random([1, 1], 1), { group: 32, bits: 4 }],
  ['4 bits of [5, 200], a shorter group last', random([5, 200], 2), { group: 64, bits: 4 }],
  ['4 bits of [67, 39], rows that end within a word', random([67, 39], 3), { group: 32, bits: 4 }],
  ['8 bits of [3, 130]', random([3, 130], 4), { group: 128, bits: 8 }],
  ['2 bits of [4, 96]', random([4, 96], 5), { group: 32, bits: 2 }],
  ['from 1e-9 to 1e4', scaled([9, 128], 6, (i) => 10 ** ((i % 1152) / 88 - 9)), { group: 32, bits: 4 }],
  ['zeros', { shape: [2, 64], data: new Float32Array(128) }, { group: 64, bits: 4 }],
  ['half way between codes', halfWays, { group: 64, bits: 4 }],
  ['half way between scales', tiedScales, { group: 32, bits: 4 }],
  ['one group of 3000', random([2, 3000], 7), { group: 3008, bits: 4 }],
];

export const packGroupsCases: KernelCases = {
  operation: 'birdbone.PackGroups',
  cases: matrices.map(([name, values, packing]) => pack(name, values, packing)),
};

export const unpackGroupsCases: KernelCases = {
  operation: 'birdbone.UnpackGroups',
  cases: matrices.slice(0, 6).map(([name, values, packing]) => unpack(name, values, packing)),
};
