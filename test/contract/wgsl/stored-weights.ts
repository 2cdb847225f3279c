import { decodeToF32, packHalves } from '../../../src/tensor/index.js';
import { type KernelCase, type KernelCases, random } from './kernel-case.js';

type Format = 'bf16' | 'f16';

/** What the two formats have at their ends, as bits: zeros, subnormals, the largest, infinities, one of the NaNs. */
const ENDS: Readonly<Record<Format, readonly number[]>> = {
  f16: [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x3c01, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x1234],
  bf16: [0x0000, 0x8000, 0x0080, 0x3f80, 0xbf81, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0x1234],
};

/** Weights about as large as a model's, by their bits: sign, seven exponents below 1, any fraction. */
function weightBits(count: number, format: Format): Uint16Array {
  const fractionBits = format === 'f16' ? 10 : 7;
  const top = format === 'f16' ? 14 : 126;
  return Uint16Array.from(random([count], 5).data, (value, i) => {
    const fraction = Math.floor(Math.abs(value) * 2 ** fractionBits) % 2 ** fractionBits;
    return (value < 0 ? 0x8000 : 0) + (top - (i % 7)) * 2 ** fractionBits + fraction;
  });
}

interface Weights {
  readonly format: Format;
  readonly rows: number;
  readonly columns: number;
}

/** The operand, and the same values by the checkpoint's own decoder. */
function stored(bits: Uint16Array, { format, rows, columns }: Weights) {
  const bytes = new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
  return {
    words: { data: packHalves(bytes, rows, columns), shape: [rows, Math.ceil(columns / 2)] },
    values: decodeToF32(bytes, format === 'f16' ? 'F16' : 'BF16'),
  };
}

function product(tokens: number, weights: Weights): KernelCase {
  const { format, rows, columns } = weights;
  const x = random([tokens, columns], 3);
  const { words, values } = stored(weightBits(rows * columns, format), weights);
  const expected = () => {
    const data = Float64Array.from({ length: tokens * rows }, (_, index) => {
      const [token, row] = [Math.floor(index / rows), index % rows];
      let sum = 0;
      for (let i = 0; i < columns; i += 1) sum += x.data[token * columns + i]! * values[row * columns + i]!;
      return sum;
    });
    return [{ data, shape: [tokens, rows], tolerance: 1e-6 }];
  };
  const name = `[${tokens}, ${columns}] · ${format} [${rows}, ${columns}]ᵀ`;
  return { name, inputs: { x, words }, attributes: { format, columns, terms: 2 }, expected };
}

export const storedProductCases: KernelCases = {
  operation: 'birdbone.StoredProduct',
  cases: [
    product(1, { format: 'bf16', rows: 1, columns: 1 }),
    product(5, { format: 'bf16', rows: 7, columns: 33 }),
    product(37, { format: 'bf16', rows: 70, columns: 129 }),
    product(33, { format: 'f16', rows: 68, columns: 72 }),
    product(18, { format: 'f16', rows: 9, columns: 8 }),
  ],
};

function widened(bits: Uint16Array, weights: Weights): KernelCase {
  const { words, values } = stored(bits, weights);
  const { format, rows, columns } = weights;
  return {
    name: `${format} [${rows}, ${columns}]`,
    inputs: { words },
    attributes: { format, columns },
    expected: () => [{ data: values, shape: [rows, columns], tolerance: 0 }],
  };
}

export const widenCases: KernelCases = {
  operation: 'birdbone.Widen',
  cases: [
    widened(Uint16Array.from(ENDS.f16), { format: 'f16', rows: 1, columns: 13 }),
    widened(Uint16Array.from(ENDS.bf16), { format: 'bf16', rows: 11, columns: 1 }),
    widened(weightBits(34 * 26, 'f16'), { format: 'f16', rows: 34, columns: 26 }),
    widened(weightBits(17 * 33, 'bf16'), { format: 'bf16', rows: 17, columns: 33 }),
  ],
};
