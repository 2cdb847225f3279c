import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';
import { castValues } from '../../src/translation/cast-values.js';
import { castView } from '../../src/translation/index.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const bytesOf = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
const cast = (values: readonly number[], to: 'F16' | 'BF16') => {
  const { bytes, counts } = castValues(bytesOf(values), 'F32', to);
  return { values: [...decodeToF32(bytes, to)], counts };
};

describe('castValues', () => {
  it('rounds, saturates and counts, value by value', () => {
    // 65 519.99 rounds to 65 504, 65 520 is halfway to what would be infinity; 2^-24 is the smallest of F16, half of it a tie with 0.
    const tiny = 2 ** -24;
    const { values, counts } = cast([1, 65_504, 65_519, 65_520, -1e30, tiny, tiny / 2, -tiny / 4, 0, -0], 'F16');
    expect(values).toEqual([1, 65_504, 65_504, 65_504, -65_504, tiny, 0, -0, 0, -0]);
    expect(counts).toEqual({ elements: 10, changed: 5, saturated: 2, zeroed: 2, nan: 0, infinite: 0 });
  });

  it('keeps what is no number, and infinity, and says so', () => {
    const { values, counts } = cast([Number.NaN, Infinity, -Infinity, 3e38, 3.4e38], 'BF16');
    expect(values).toEqual([Number.NaN, Infinity, -Infinity, 226 * 2 ** 120, (2 - 2 ** -7) * 2 ** 127]);
    expect(counts).toEqual({ elements: 5, changed: 2, saturated: 1, zeroed: 0, nan: 1, infinite: 2 });
  });

  it('takes doubles to float32 with the same counts', () => {
    const doubles = new Uint8Array(Float64Array.from([0.1, 1e300, -1e300, 1e-300, 0.5]).buffer);
    const { bytes, counts } = castValues(doubles, 'F64', 'F32');
    const largest = (2 - 2 ** -23) * 2 ** 127;
    expect([...decodeToF32(bytes, 'F32')]).toEqual([Math.fround(0.1), largest, -largest, 0, 0.5]);
    expect(counts).toEqual({ elements: 5, changed: 4, saturated: 2, zeroed: 1, nan: 0, infinite: 0 });
  });

  it('is plain rounding wherever nothing is too large', () => {
    const finite = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -65_000, max: 65_000 }));
    fc.assert(
      fc.property(finite, fc.constantFrom('F16' as const, 'BF16' as const), (values, to) => {
        const { bytes } = castValues(bytesOf(values), 'F32', to);
        expect(Buffer.compare(bytes, encodeFromF32(Float32Array.from(values), to))).toBe(0);
      }),
    );
  });
});

describe('castView', () => {
  it('reads any range of whole elements, counts what it has read, and leaves integers alone', async () => {
    const ids = { dtype: 'I32', shape: [2], bytes: new Uint8Array(8).fill(7) } as const;
    const source = memoryCheckpoint({ a: f32([4], [0.1, 1e30, 2, 3]), ids }, { aliases: { b: 'a' } });
    const view = castView(source, () => 'F16');
    expect(view.tensors.get('a')).toEqual({ name: 'a', dtype: 'F16', shape: [4], byteLength: 8 });
    expect(decodeToF32(await view.read('b', { offset: 2, length: 4 }), 'F16')).toEqual(Float32Array.of(65_504, 2));
    expect(view.counts.get('a')).toMatchObject({ elements: 2, changed: 1, saturated: 1 });
    expect(await view.read('ids')).toEqual(ids.bytes);
    expect(view.counts.has('ids')).toBe(false);
    await expect(view.read('a', { offset: 1, length: 2 })).rejects.toThrow(RangeError);
    await expect(view.read('a', { offset: 0, length: 16 })).rejects.toThrow(RangeError);
    await expect(view.read('c')).rejects.toMatchObject({ code: 'unreadable' });
  });
});
