import { describe, expect, it } from 'vitest';
import { readFloats } from '../../src/checkpoint/index.js';
import { codingBytes, codingName, decodedView } from '../../src/coding/index.js';
import {
  dequantizeMatrix,
  quantizeMatrix,
  type SchemeOptions,
  type SchemeRecord,
  schemeOf,
  toParts,
} from '../../src/quantization/index.js';
import { type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const [ROWS, COLUMNS] = [9, 75];
const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i * 0.7) * (1 + (i % 17)) * 0.01);

/** The tensors of a coded weight `w`; fields of `record` replace its own. */
function stored(name: string, options: SchemeOptions = {}, record: Record<string, unknown> = {}) {
  const matrix = quantizeMatrix(values, ROWS, COLUMNS, schemeOf(name, options));
  const made = toParts(matrix);
  const fields = Object.entries({ ...made.record!, ...record }).filter(([, value]) => value !== undefined);
  const bytes = codingBytes(Object.fromEntries(fields) as SchemeRecord);
  const tensors: Record<string, MemoryTensor> = { [codingName('w')]: { dtype: 'U8', shape: [bytes.length], bytes } };
  for (const [suffix, part] of made.parts) tensors[`w${suffix}`] = part;
  return { tensors, expected: dequantizeMatrix(matrix) };
}

describe.each<[string, SchemeOptions]>([
  ['int8', {}],
  ['int6', { groupSize: 7 }],
  ['int4', { asymmetric: true }],
  ['int3', { blockShape: [4, 32], asymmetric: true }],
  ['int2', { groupSize: 'tensor' }],
  ['fp8', {}],
  ['fp8-e5m2', { blockShape: [5, 64] }],
  ['nf4', {}],
  ['nf4-double', { groupSize: 8 }],
])('a weight in %s %j', (name, options) => {
  it('is read back as its codes stand for, whole and by any rows', async () => {
    const { tensors, expected } = stored(name, options);
    const view = await decodedView(memoryCheckpoint(tensors));
    expect([...view.tensors.values()]).toEqual([
      { name: 'w', dtype: 'F32', shape: [ROWS, COLUMNS], byteLength: 4 * ROWS * COLUMNS },
    ]);
    expect(await readFloats(view, 'w')).toEqual(expected);
    for (const start of [0, 3, 4, ROWS - 2]) {
      for (const count of [1, 2, ROWS - start]) {
        const part = await readFloats(view, 'w', { start, count });
        expect(part).toEqual(expected.slice(start * COLUMNS, (start + count) * COLUMNS));
      }
    }
  });
});

describe('a record that does not fit its tensors', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['more rows', { rows: 10 }, /"w" is U8 \[9, 38\], where its coding says U8 \[10, 38\]/],
    ['other bits', { bits: 3 }, /where its coding says U8 \[9, 29\]/],
    ['bits that there are not', { bits: 9 }, /bits 9, which must be/],
    ['smaller groups', { groupSize: 32 }, /"w_scale" is F16 \[9, 2\], where its coding says F16 \[9, 3\]/],
    ['no group size', { groupSize: undefined }, /groupSize absent, which must be a whole number/],
    ['groups of nothing', { groupSize: 0 }, /groupSize 0/],
    ['zero points that are not there', { symmetric: false }, /w_zero_point/],
    ['scales of another type', { scaleDtype: 'BF16' }, /"w_scale" is F16/],
    ['scales of no such type', { scaleDtype: 'F8' }, /scaleDtype "F8", which must be F16, BF16, F32/],
    ['another strategy', { strategy: 'block' }, /blockShape absent, which must be two whole numbers/],
    ['blocks of no size', { strategy: 'block', blockShape: [0, 4] }, /blockShape \[0,4\]/],
    [
      'codes of codes in integers',
      { doubleQuantization: true },
      /doubleQuantization true, which must be absent|w_scale_absmax/,
    ],
    ['inputs of no such type', { activations: 'int4' }, /activations "int4", which must be int8, fp8/],
    ['another kind', { kind: 'float8' }, /bits 4, which must be 8/],
    ['a kind of codebook', { kind: 'codebook' }, /codebook absent, which must be nf4/],
  ])('%s', async (_, record, message) => {
    const { tensors } = stored('int4', {}, record);
    await expect(decodedView(memoryCheckpoint(tensors))).rejects.toMatchObject({
      code: 'unreadable',
      file: '/nowhere/memory',
      message: expect.stringMatching(message),
    });
  });

  it('a part that is missing', async () => {
    const { tensors } = stored('nf4-double');
    const { w_scale_absmax: _, ...others } = tensors;
    await expect(decodedView(memoryCheckpoint(others))).rejects.toMatchObject({
      code: 'unreadable',
      tensor: 'w_scale_absmax',
    });
  });
});
