import type { TensorInfo } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import type { Derivation } from './derivation.js';

/**
 * Several matrices as one tensor, the first of them first: [count, rows, columns]. Throws `unsupported` for matrices that are not of
 * one type and shape.
 */
export const stacked: Derivation = {
  describe: (stored) => {
    const [first] = stored;
    const odd = stored.find(({ dtype, shape }) => dtype !== first!.dtype || shape.join() !== first!.shape.join());
    if (odd !== undefined) {
      const what = `${odd.dtype} [${odd.shape}], and ${first!.name} is ${first!.dtype} [${first!.shape}]`;
      throw new BirdboneError(
        'unsupported',
        `Tensor ${odd.name} is ${what}: a GGUF has all experts of a block in one tensor.`,
        {
          tensor: odd.name,
          suggestions: ['Give them one type first: convert with --dtype into a folder.'],
        },
      );
    }
    const { dtype, shape, byteLength } = first!;
    return { dtype, shape: [stored.length, ...shape], byteLength: stored.length * byteLength };
  },
  async read({ offset, length }, stored, source) {
    const each = stored[0]!.byteLength;
    const result = new Uint8Array(length);
    let position = offset;
    while (position < offset + length) {
      const part = Math.floor(position / each);
      const from = position - part * each;
      const count = Math.min(each - from, offset + length - position);
      result.set(await source.read(stored[part]!.name, { offset: from, length: count }), position - offset);
      position += count;
    }
    return result;
  },
};

/** One matrix of a stack. */
export function slice(index: number): Derivation {
  const each = ({ shape: [count = 1], byteLength }: TensorInfo) => byteLength / count;
  return {
    describe: ([stored]) => ({ dtype: stored!.dtype, shape: stored!.shape.slice(1), byteLength: each(stored!) }),
    read: ({ offset, length }, [stored], source) =>
      source.read(stored!.name, { offset: index * each(stored!) + offset, length }),
  };
}
