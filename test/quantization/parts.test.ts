import { describe, expect, it } from 'vitest';
import {
  dequantizeMatrix,
  fromParts,
  quantizeMatrix,
  type SchemeOptions,
  schemeOf,
  schemes,
  toParts,
} from '../../src/quantization/index.js';
import { seededRandom } from '../../src/random.js';

const VARIANTS: readonly [string, SchemeOptions][] = [
  ...[...schemes.keys()].map((name): [string, SchemeOptions] => [name, {}]),
  ['int4', { groupSize: 5, asymmetric: true }],
  ['int3', { groupSize: 'channel', asymmetric: true, scaleDtype: 'BF16' }],
  ['int8', { groupSize: 'tensor', scaleDtype: 'F32' }],
  ['fp8', { blockShape: [4, 3] }],
  ['int6', { blockShape: [2, 7], asymmetric: true }],
];

describe.each(VARIANTS)('parts of %s %j', (name, options) => {
  it('give back the same matrix', () => {
    const random = seededRandom(7);
    const [rows, columns] = [5, 131];
    const values = Float32Array.from({ length: rows * columns }, () => (random.bits() / 2 ** 32 - 0.5) * 0.2);
    const matrix = quantizeMatrix(values, rows, columns, schemeOf(name, options));
    const { parts, record } = toParts(matrix);
    if (record === undefined) {
      expect(parts.get('')).toMatchObject({ dtype: matrix.scheme.format, shape: [rows, columns] });
      return;
    }
    const back = fromParts(JSON.parse(JSON.stringify(record)), (suffix) => parts.get(suffix)!.bytes);
    expect(back).toEqual(matrix);
    expect(dequantizeMatrix(back)).toEqual(dequantizeMatrix(matrix));
  });
});
