import { elementsOf } from '../../checkpoint/index.js';
import { DTYPES, decodeToF32, isBlockDtype } from '../../tensor/index.js';
import type { Derivation } from './derivation.js';

const F32_BYTES = 4;

/**
 * The tensor's numbers with `offset` added in float32, as F32: what turns Gemma's stored w into the 1 + w that it multiplies by, and
 * back. Of a w below 2⁻²⁴ the sum keeps nothing; neither does the model, which adds in float32 too. So the way there and back
 * computes what it did, and of what has gone there, the way back and there is the same bytes.
 */
export function shifted(offset: 1 | -1): Derivation {
  return {
    describe: ([stored]) => {
      const { shape } = stored!;
      return { dtype: 'F32', shape, byteLength: F32_BYTES * elementsOf(shape) };
    },
    async read(range, [stored], source) {
      const { name, dtype } = stored!;
      if (isBlockDtype(dtype)) throw new RangeError(`${name} is in blocks of ${dtype}.`);
      const storedBytes = DTYPES[dtype].bits / 8;
      const first = Math.floor(range.offset / F32_BYTES);
      const count = Math.ceil((range.offset + range.length) / F32_BYTES) - first;
      const bytes = await source.read(name, { offset: first * storedBytes, length: count * storedBytes });
      const values = decodeToF32(bytes, dtype).map((value) => value + offset);
      const start = range.offset - first * F32_BYTES;
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice(start, start + range.length);
    },
  };
}
