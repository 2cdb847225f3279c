import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Layer } from '../../src/checkpoint/index.js';
import { chunksOf, memoryLayer, overlay, readFloats } from '../../src/checkpoint/index.js';
import { DTYPES, type Dtype } from '../../src/tensor/index.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { patterned } from '../fixtures/safetensors-file.js';

/** A layer that replaces one tensor. */
function replacing(name: string, tensor: { dtype: Dtype; shape: readonly number[]; bytes: Uint8Array }): Layer {
  const { dtype, shape, bytes } = tensor;
  return memoryLayer(new Map(), new Map([[name, { info: { name, dtype, shape, byteLength: bytes.length }, bytes }]]));
}

const masking = (name: string, ...bits: number[]) => memoryLayer(new Map([[name, Uint8Array.from(bits)]]));
const base = () =>
  memoryCheckpoint({ w: f32([2, 3], [1, 2, 3, 4, 5, 6]), v: f32([2], [7, 8]) }, { aliases: { tied: 'w' } });

describe('overlay', () => {
  it('reads removed elements as zero, and leaves the base as it is', async () => {
    const checkpoint = base();
    const stack = overlay(checkpoint, [masking('w', 0b101101)]);
    expect(await readFloats(stack, 'w')).toEqual(Float32Array.of(1, 0, 3, 4, 0, 6));
    expect(await readFloats(stack, 'w', { start: 1, count: 1 })).toEqual(Float32Array.of(4, 0, 6));
    expect(await readFloats(stack, 'v')).toEqual(Float32Array.of(7, 8));
    expect(await readFloats(checkpoint, 'w')).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(stack.tensors).toEqual(checkpoint.tensors);
  });

  it('turns removed −0, NaN and infinite elements into +0', async () => {
    const odd = f32([4], [-0, Number.NaN, Number.POSITIVE_INFINITY, 1]);
    const stack = overlay(memoryCheckpoint({ w: odd }), [masking('w', 0b1000)]);
    expect(await stack.read('w')).toEqual(new Uint8Array(Float32Array.of(0, 0, 0, 1).buffer));
  });

  it('applies layers in order: masks add up, a replacement undoes what was below it', async () => {
    const masks = [masking('w', 0b111110), masking('w', 0b101111)];
    expect(await readFloats(overlay(base(), masks), 'w')).toEqual(Float32Array.of(0, 2, 3, 4, 0, 6));
    const replaced = replacing('w', f32([2, 3], [10, 20, 30, 40, 50, 60]));
    expect(await readFloats(overlay(base(), [masks[0]!, replaced, masks[1]!]), 'w')).toEqual(
      Float32Array.of(10, 20, 30, 40, 0, 60),
    );
    const again = replacing('w', f32([2, 3], [1, 1, 1, 1, 1, 1]));
    expect(await readFloats(overlay(base(), [replaced, masks[1]!, again]), 'w')).toEqual(
      Float32Array.of(1, 1, 1, 1, 1, 1),
    );
  });

  it('lets a replacement have another type and shape, and masks above it count its elements', async () => {
    const smaller = replacing('w', { dtype: 'BF16', shape: [1, 2], bytes: Uint8Array.of(0x80, 0x3f, 0, 0x40) });
    const stack = overlay(base(), [masking('w', 0b111111), smaller, masking('w', 0b10)]);
    expect(stack.tensors.get('w')).toEqual({ name: 'w', dtype: 'BF16', shape: [1, 2], byteLength: 4 });
    expect(await readFloats(stack, 'w')).toEqual(Float32Array.of(0, 2));
    expect(await readFloats(stack, 'tied')).toEqual(Float32Array.of(0, 2));
  });

  it('shows the same under an alias', async () => {
    const stack = overlay(base(), [masking('w', 0b101101)]);
    expect(await stack.read('tied')).toEqual(await stack.read('w'));
    expect((await chunksOf(stack, 'tied').next()).value).toEqual(await stack.read('w'));
    expect(stack.aliases).toEqual(new Map([['tied', 'w']]));
  });

  it('stacks on an overlay', async () => {
    const below = overlay(base(), [masking('w', 0b111110)]);
    expect(await readFloats(overlay(below, [masking('w', 0b011111)]), 'w')).toEqual(Float32Array.of(0, 2, 3, 4, 5, 0));
  });

  it('is the base when there are no layers', async () => {
    expect(await overlay(base(), []).read('w')).toEqual(await base().read('w'));
  });

  it('reads any range of whole elements as the whole has it, for every type of whole bytes', async () => {
    const wholeTypes = (Object.keys(DTYPES) as Dtype[]).filter((dtype) => DTYPES[dtype].bits % 8 === 0);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...wholeTypes),
        fc.nat(99),
        fc.nat(99),
        fc.nat(1000),
        async (dtype, from, to, seed) => {
          const elementBytes = DTYPES[dtype].bits / 8;
          const bytes = patterned(100 * elementBytes, seed).map((byte) => byte + 1);
          const bits = patterned(13, seed + 1);
          const checkpoint = memoryCheckpoint({ w: { dtype, shape: [10, 10], bytes } });
          const stack = overlay(checkpoint, [memoryLayer(new Map([['w', bits]]))]);
          const expected = bytes.map((byte, i) => {
            const element = Math.floor(i / elementBytes);
            return Math.floor(bits[Math.floor(element / 8)]! / 2 ** (element % 8)) % 2 === 1 ? byte : 0;
          });
          const [first, last] = [Math.min(from, to), Math.max(from, to)];
          const range = { offset: first * elementBytes, length: (last - first) * elementBytes };
          expect(await stack.read('w', range)).toEqual(expected.slice(range.offset, range.offset + range.length));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('reads only the mask bytes that a range needs', async () => {
    const asked: unknown[] = [];
    const bits = memoryLayer(new Map([['w', new Uint8Array(13)]]));
    const watched: Layer = {
      ...bits,
      readMask: (name, range) => {
        asked.push(range);
        return bits.readMask(name, range);
      },
    };
    const stack = overlay(memoryCheckpoint({ w: f32([100], Array(100).fill(1)) }), [watched]);
    await stack.read('w', { offset: 4 * 23, length: 4 * 20 });
    // Elements 23 to 42 have their bits in bytes 2 to 5.
    expect(asked).toEqual([{ offset: 2, length: 4 }]);
  });

  it('refuses a range that splits a masked element, or leaves the tensor', async () => {
    const stack = overlay(base(), [masking('w', 0b101101)]);
    await expect(stack.read('w', { offset: 2, length: 4 })).rejects.toThrow(RangeError);
    await expect(stack.read('w', { offset: 0, length: 6 })).rejects.toThrow(RangeError);
    await expect(stack.read('w', { offset: 20, length: 8 })).rejects.toThrow(RangeError);
  });

  it.each([
    ['names a tensor that is not stored', masking('x', 1), 'tensor "x", which the base does not store'],
    ['names an alias', masking('tied', 0b111111), 'tensor "tied", which the base does not store'],
    ['replaces a tensor that is not stored', replacing('x', f32([1], [1])), 'tensor "x"'],
    ['has too few bits', masking('w'), 'has 6 elements, where the mask has 0 bytes'],
    ['has too many bits', masking('w', 1, 1), 'has 6 elements, where the mask has 2 bytes'],
    [
      'records another number of bits in as many bytes',
      { ...masking('w', 1), masks: new Map([['w', { byteLength: 1, elements: 7 }]]) },
      'has 6 elements',
    ],
  ])('refuses a layer that %s', (_, layer, says) => {
    expect(() => overlay(base(), [layer])).toThrow(says);
    expect(() => overlay(base(), [layer])).toThrow(expect.objectContaining({ code: 'mismatch', file: layer.path }));
  });

  it('refuses a mask over elements smaller than a byte', () => {
    const packed = memoryCheckpoint({ w: { dtype: 'F4', shape: [8], bytes: patterned(4) } });
    expect(() => overlay(packed, [masking('w', 1)])).toThrow('elements of 4 bits');
  });

  it('says that it has no such tensor as any checkpoint does', async () => {
    await expect(overlay(base(), []).read('x')).rejects.toMatchObject({ code: 'unreadable', tensor: 'x' });
  });
});
