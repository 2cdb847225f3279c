import { describe, expect, it } from 'vitest';
import { decodedView } from '../../src/coding/index.js';
import { readQuantized } from '../../src/layouts/index.js';
import { decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';
import { type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { bytesOfWords, denseWords, flipped, paddedWords } from './packing-oracle.js';

/** Files as other programs write them, made by hand from the layout's text: what this one would write is tested beside. */
const ROWS = 5;
const COLUMNS = 44;
const GROUP = 11;
const M = 'model.layers.0.mlp.up_proj';

/** Codes that use all of their range, and scales that are powers of two, so that every product is exact. */
function codesOf(bits: number): number[][] {
  const last = 2 ** bits;
  return Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: COLUMNS }, (_, c) => (row * 7 + c * 5 + (c >> 3)) % last),
  );
}
const scaleAt = (row: number, group: number) => 2 ** ((row + 2 * group) % 5) / 64;

function i32(words: readonly (readonly number[])[]): MemoryTensor {
  return { dtype: 'I32', shape: [words.length, words[0]!.length], bytes: bytesOfWords(words) };
}

function bf16(shape: readonly number[], values: readonly number[]): MemoryTensor {
  return { dtype: 'BF16', shape, bytes: encodeFromF32(Float32Array.from(values), 'BF16') };
}

const scales = (groups: number) =>
  Array.from({ length: ROWS }, (_, row) => Array.from({ length: groups }, (_, group) => scaleAt(row, group))).flat();

const shape: MemoryTensor = {
  dtype: 'I64',
  shape: [2],
  bytes: new Uint8Array(BigInt64Array.of(BigInt(ROWS), BigInt(COLUMNS)).buffer),
};

interface Args {
  readonly [key: string]: unknown;
}

function configOf(format: string, weights: Args, rest: Args = {}) {
  return {
    model_type: 'llama',
    quantization_config: {
      quant_method: 'compressed-tensors',
      format,
      config_groups: { group_0: { targets: ['re:.*up_proj$', 'Linear'], weights, ...rest } },
      ignore: ['lm_head'],
    },
  } as never;
}

async function valuesOf(tensors: Record<string, MemoryTensor>, config: never): Promise<number[]> {
  const view = await decodedView(await readQuantized(memoryCheckpoint(tensors), config, 'config.json'));
  expect([...view.tensors.keys()]).toEqual([`${M}.weight`]);
  expect(view.tensors.get(`${M}.weight`)).toMatchObject({ dtype: 'F32', shape: [ROWS, COLUMNS] });
  return [...decodeToF32(await view.read(`${M}.weight`), 'F32')];
}

function expected(value: (row: number, column: number) => number): number[] {
  return Array.from({ length: ROWS * COLUMNS }, (_, at) => value(Math.floor(at / COLUMNS), at % COLUMNS));
}

const inGroups = (bits: number) => ({
  num_bits: bits,
  type: 'int',
  symmetric: true,
  strategy: 'group',
  group_size: GROUP,
});

describe('packed integers of others', () => {
  it.each([2, 3, 4, 5, 6, 7, 8])('of %i bits, dense', async (bits) => {
    const codes = codesOf(bits);
    const tensors = {
      [`${M}.weight_packed`]: i32(denseWords(codes, bits)),
      [`${M}.weight_scale`]: bf16([ROWS, 4], scales(4)),
      [`${M}.weight_shape`]: shape,
    };
    const found = await valuesOf(tensors, configOf('pack-quantized', inGroups(bits)));
    const half = 2 ** (bits - 1);
    expect(found).toEqual(expected((row, c) => (codes[row]![c]! - half) * scaleAt(row, Math.floor(c / GROUP))));
  });

  it.each([3, 5, 6, 7])('of %i bits, none of which reaches over the end of a word', async (bits) => {
    // Rows of 44 codes would fill as many words either way at 3 and at 6 bits; those of a multiple of 32 never do.
    const codes = codesOf(bits).map((row) => [...row, ...row.slice(0, 20)]);
    const tensors = {
      [`${M}.weight_packed`]: i32(paddedWords(codes, bits)),
      [`${M}.weight_scale`]: bf16([ROWS, 1], scales(1)),
      [`${M}.weight_shape`]: { ...shape, bytes: new Uint8Array(BigInt64Array.of(BigInt(ROWS), 64n).buffer) },
    };
    const config = configOf('pack-quantized', { ...inGroups(bits), strategy: 'channel', group_size: null });
    const view = await decodedView(await readQuantized(memoryCheckpoint(tensors), config, 'config.json'));
    const half = 2 ** (bits - 1);
    const values = codes.flatMap((row, at) => row.map((code) => (code - half) * scaleAt(at, 0)));
    expect([...decodeToF32(await view.read(`${M}.weight`), 'F32')]).toEqual(values);
  });

  it('of 4 bits with zero points and groups in the order of activations', async () => {
    const codes = codesOf(4);
    const zeros = Array.from({ length: ROWS }, (_, row) => [0, 1, 2, 3].map((group) => (row * 3 + group * 5) % 16));
    const order = Array.from({ length: COLUMNS }, (_, c) => (c * 3) % 4);
    const tensors = {
      [`${M}.weight_packed`]: i32(denseWords(codes, 4)),
      [`${M}.weight_scale`]: bf16([ROWS, 4], scales(4)),
      [`${M}.weight_zero_point`]: i32(flipped(denseWords(flipped(zeros), 4))),
      [`${M}.weight_shape`]: shape,
      [`${M}.weight_g_idx`]: { dtype: 'I32', shape: [COLUMNS], bytes: bytesOfWords([order]) } as const,
    };
    const config = configOf('pack-quantized', { ...inGroups(4), symmetric: false, actorder: 'group' });
    const found = await valuesOf(tensors, config);
    expect(found).toEqual(expected((row, c) => (codes[row]![c]! - zeros[row]![order[c]!]!) * scaleAt(row, order[c]!)));
  });
});

describe('bytes of others', () => {
  const signed = codesOf(8).map((row) => row.map((code) => code - 128));
  const int8: MemoryTensor = {
    dtype: 'I8',
    shape: [ROWS, COLUMNS],
    bytes: new Uint8Array(Int8Array.from(signed.flat()).buffer),
  };

  it('int8 with zero points, and scales that have one axis', async () => {
    const zeros = [-128, -3, 0, 5, 127];
    const tensors = {
      [`${M}.weight`]: int8,
      [`${M}.weight_scale`]: bf16([ROWS], scales(1)),
      [`${M}.weight_zero_point`]: {
        dtype: 'I8',
        shape: [ROWS, 1],
        bytes: new Uint8Array(Int8Array.from(zeros).buffer),
      } as const,
    };
    const config = configOf('int-quantized', { num_bits: 8, type: 'int', symmetric: false, strategy: 'channel' });
    const found = await valuesOf(tensors, config);
    expect(found).toEqual(expected((row, c) => (signed[row]![c]! - zeros[row]!) * scaleAt(row, 0)));
  });

  it('FP8 per tensor, with scales that have no axis, static inputs and a cache', async () => {
    // 1.0, −1.5, 448 and the least number: their codes by the table of E4M3.
    const table = [0x38, 0xbc, 0x7e, 0x01].map((code, index) => [code, [1, -1.5, 448, 2 ** -9][index]!] as const);
    const bytes = new Uint8Array(expected((row, c) => table[(row + c) % 4]![0]));
    const one = (value: number): MemoryTensor => ({ ...bf16([1], [value]), shape: [] });
    const tensors = {
      [`${M}.weight`]: { dtype: 'F8_E4M3', shape: [ROWS, COLUMNS], bytes } as const,
      [`${M}.weight_scale`]: one(0.5),
      [`${M}.input_scale`]: one(0.125),
      'model.layers.0.self_attn.k_scale': one(2),
      'model.layers.0.self_attn.v_scale': one(4),
    };
    const args = { num_bits: 8, type: 'float', strategy: 'tensor', symmetric: true, dynamic: false };
    const config = configOf('float-quantized', args, { input_activations: args });
    expect(await valuesOf(tensors, config)).toEqual(expected((row, c) => table[(row + c) % 4]![1] * 0.5));
    const { extras, notices } = await readQuantized(memoryCheckpoint(tensors), config, 'config.json');
    expect(extras.inputScales).toEqual(new Map([[`${M}.weight`, 0.125]]));
    expect(extras.kvScales).toEqual(new Map([[0, { k: 2, v: 4 }]]));
    expect(notices).toEqual([
      expect.stringContaining('round inputs of its layers to 8 bits'),
      expect.stringContaining('Keys and values of 1 block are rounded to FP8'),
    ]);
  });

  it('FP8 in blocks, with the shape of a block as text', async () => {
    const bytes = new Uint8Array(ROWS * COLUMNS).fill(0x38);
    const grid = [3, 6];
    const values = Array.from({ length: 18 }, (_, index) => 2 ** (index % 7));
    const tensors = {
      [`${M}.weight`]: { dtype: 'F8_E4M3', shape: [ROWS, COLUMNS], bytes } as const,
      [`${M}.weight_scale`]: bf16(grid, values),
    };
    const args = { num_bits: 8, type: 'float', strategy: 'block', symmetric: true, block_structure: '2x8' };
    const found = await valuesOf(tensors, configOf('float-quantized', args));
    expect(found).toEqual(expected((row, c) => values[Math.floor(row / 2) * 6 + Math.floor(c / 8)]!));
  });
});
