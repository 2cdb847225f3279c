import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type BlockDtype,
  countZeros,
  DTYPES,
  decodeToF32,
  encodeFromF32,
  isBlockDtype,
} from '../../src/tensor/index.js';

/** Where each type keeps its half-precision scales, by byte of a block (ggml-common.h). */
const HALVES: Readonly<Record<BlockDtype, readonly number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
};

/**
 * sha256 of the float32 values of `randomBlocks`, as `dequantize_row_q4_0` … of llama.cpp's own libggml-base computed them
 * (the library that ships with node-llama-cpp 3.22.1, called by way of Python's ctypes).
 */
const GGML_DIGESTS: Readonly<Record<BlockDtype, string>> = {
  Q4_0: 'f4349db317bc00981b151808147f6df2cbc6138f195c2132da7b40097d41796c',
  Q4_1: '82fda4b07d206c2d8250a8fa1831b62514ba94e92f880f68a0aa0f9c0dbb300a',
  Q5_0: 'f7085d81498762c2abfd59729119242cb25fa9c17b6d27a0042c5861859153d2',
  Q5_1: 'b701199df8cb0034794a645593b6a9a333f88eb0a00c806397ef21ceaacdac73',
  Q8_0: '306acf558c66c5c2b3419572ea6bc4c4db45c86d07d337a437eea79bbdda4727',
  Q2_K: 'a2c3680b8a21c2dfc88a10dc14fcb814ebce500e80891e30040afa39bc596df9',
  Q3_K: '209aba37e32afe3e37211cd1fd75c1cc5f52edc62e37a9a16aa34b26805f5886',
  Q4_K: '16bf4199062f56dfa6af482fc6b7f9b729bb0071082c14ff0543c7278d1eb848',
  Q5_K: '083dd9ae312296f9fbe2c651e549bdaf50d90fe412cf5ab24cc0e8dfe69c1f53',
  Q6_K: 'bfeff4e40cd34d86680ecc1af1e41b0091fdf4c36635b4189e3a980dd7a180e1',
  IQ4_NL: '974feb50ef32e6fc1c0f35cddaf8967044e21d17321c2c7ef8ee69487f03ac4b',
  IQ4_XS: 'bda8e8c62ae7086bb762db39f312b647e61afc6fc79677e52d04a9756b30ac0c',
};

const BLOCK_DTYPES = Object.keys(GGML_DIGESTS) as BlockDtype[];

/** 1024 blocks of a linear congruential generator's high bytes, with scales that are finite, zero and subnormal included. */
function randomBlocks(dtype: BlockDtype): Uint8Array {
  const { blockBytes, blockElements } = DTYPES[dtype];
  let state = blockBytes * blockElements;
  const bytes = Uint8Array.from({ length: 1024 * blockBytes }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
  for (let block = 0; block < bytes.length; block += blockBytes) {
    // The exponent's lowest bit, cleared: all ones would be Inf or NaN.
    for (const half of HALVES[dtype]) bytes[block + half + 1]! &= 0xfb;
  }
  return bytes;
}

describe.each(BLOCK_DTYPES)('%s', (dtype) => {
  const { blockBytes, blockElements, bits } = DTYPES[dtype];

  it('has the values that ggml itself computes, bit for bit', () => {
    const values = decodeToF32(randomBlocks(dtype), dtype);
    expect(values).toHaveLength(1024 * blockElements);
    const digest = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
    expect(digest).toBe(GGML_DIGESTS[dtype]);
  });

  it('reads blocks wherever they lie, and each by itself', () => {
    const blocks = randomBlocks(dtype).slice(0, 5 * blockBytes);
    const shifted = new Uint8Array(blocks.length + 1);
    shifted.set(blocks, 1);
    const values = decodeToF32(blocks, dtype);
    expect(decodeToF32(shifted.subarray(1), dtype)).toEqual(values);
    const fourth = blocks.subarray(3 * blockBytes, 4 * blockBytes);
    expect(decodeToF32(fourth, dtype)).toEqual(values.slice(3 * blockElements, 4 * blockElements));
    expect(decodeToF32(blocks.subarray(0, 0), dtype)).toHaveLength(0);
  });

  it('refuses a part of a block, and to be written', () => {
    expect(() => decodeToF32(new Uint8Array(blockBytes + 1), dtype)).toThrow(RangeError);
    expect(() => encodeFromF32(new Float32Array(blockElements), dtype)).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(dtype) }),
    );
  });

  it('counts the zeros among its values, also of many blocks', () => {
    const one = randomBlocks(dtype);
    const many = new Uint8Array(5 * one.length);
    for (let copy = 0; copy < 5; copy += 1) many.set(one, copy * one.length);
    const zeros = decodeToF32(many, dtype).filter((value) => value === 0).length;
    expect(countZeros(many, dtype)).toBe(zeros);
    expect(countZeros(new Uint8Array(3 * blockBytes), dtype)).toBe(3 * blockElements);
  });

  it('has bits for which elements times bits is exact', () => {
    expect((blockElements * bits) / 8).toBe(blockBytes);
    expect(((2 ** 31 + 1) * blockElements * bits) / 8).toBe((2 ** 31 + 1) * blockBytes);
  });
});

/** f16 codes: 0x3800 is 0.5, 0x4000 is 2, 0xbc00 is −1. */
describe('blocks computed by hand', () => {
  const nibbles = Uint8Array.from({ length: 16 }, (_, i) => i | ((15 - i) << 4));
  const ascending = Array.from({ length: 16 }, (_, i) => i);
  const descending = ascending.map((i) => 15 - i);

  it('Q4_0: 0.5 · (q − 8), low halves first', () => {
    const values = decodeToF32(Uint8Array.of(0x00, 0x38, ...nibbles), 'Q4_0');
    expect([...values]).toEqual([...ascending, ...descending].map((q) => 0.5 * (q - 8)));
  });

  it('Q4_1: 0.5 · q + 2', () => {
    const values = decodeToF32(Uint8Array.of(0x00, 0x38, 0x00, 0x40, ...nibbles), 'Q4_1');
    expect([...values]).toEqual([...ascending, ...descending].map((q) => 0.5 * q + 2));
  });

  it('Q5_0: a set bit i adds 16 to element i', () => {
    const values = decodeToF32(Uint8Array.of(0x00, 0x40, 0x03, 0x00, 0x00, 0x80, ...nibbles), 'Q5_0');
    const codes = [...ascending, ...descending].map((q, i) => ([0, 1, 31].includes(i) ? q + 16 : q));
    expect([...values]).toEqual(codes.map((q) => 2 * (q - 16)));
  });

  it('Q8_0: −1 · signed byte', () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x80 : i));
    const values = decodeToF32(Uint8Array.of(0x00, 0xbc, ...bytes), 'Q8_0');
    expect([...values.slice(0, 3)]).toEqual([128, -1, -2]);
  });

  it('Q4_K: sub-block 0 has its scale and minimum whole, sub-block 5 in pieces', () => {
    const block = new Uint8Array(144);
    block.set([0x00, 0x38, 0x00, 0x40]);
    // Sub-block 0: scale 33, minimum 5. Sub-block 5: scale 0b10_0111 and minimum 0b01_1001.
    block[4] = 33;
    block[8] = 5;
    block[4 + 9] = 0b1001_0111;
    block[4 + 1] = 0b1000_0000;
    block[4 + 5] = 0b0100_0000;
    block.fill(0x30, 16, 48);
    block[16] = 0x37;
    block.fill(0xb0, 16 + 64, 16 + 96);
    const values = decodeToF32(block, 'Q4_K');
    expect(values[0]).toBe(0.5 * 33 * 7 - 2 * 5);
    expect(values[1]).toBe(-2 * 5);
    expect(values[5 * 32]).toBe(0.5 * 39 * 11 - 2 * 25);
  });

  it('Q6_K: element 100 is in the fourth quarter of the first half', () => {
    const block = new Uint8Array(210);
    block[208] = 0x00;
    block[209] = 0x38;
    // Element 100 = 96 + 4: high half of ql[36], bits 6 and 7 of qh[4], scale of sub-block 6.
    block[36] = 0xa0;
    block[128 + 4] = 0b1100_0000;
    block[192 + 6] = 0xfd;
    expect(decodeToF32(block, 'Q6_K')[100]).toBe(0.5 * -3 * (0b11_1010 - 32));
  });

  it('IQ4_NL: codes 0 to 15 are the table', () => {
    const values = decodeToF32(Uint8Array.of(0x00, 0x38, ...nibbles), 'IQ4_NL');
    expect([...values.slice(0, 16)].map((value) => 2 * value)).toEqual([
      -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]);
  });
});

it('covers every block type', () => {
  expect(BLOCK_DTYPES).toEqual((Object.keys(DTYPES) as (keyof typeof DTYPES)[]).filter(isBlockDtype));
});
