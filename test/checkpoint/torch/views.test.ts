import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/index.js';
import { gatherElements } from '../../../src/checkpoint/torch/gather.js';
import { dict, pickle, storage, tensor, text } from '../../fixtures/pickle-assembler.js';
import { patterned, temporaryFolder } from '../../fixtures/safetensors-file.js';
import { torchMembers, writeZip } from '../../fixtures/torch-file.js';
import { layOutZip } from '../../fixtures/zip-file.js';

interface View {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly elementBytes: number;
}

/** The definition: element (i, j, …) of the tensor is element i × stride₀ + j × stride₁ + … of the storage. */
function elementsByDefinition({ shape, strides, elementBytes }: View, stored: Uint8Array): Uint8Array {
  const bytes: number[] = [];
  const visit = (dimension: number, at: number): void => {
    if (dimension === shape.length) {
      bytes.push(...stored.subarray(at * elementBytes, (at + 1) * elementBytes));
      return;
    }
    for (let i = 0; i < shape[dimension]!; i += 1) visit(dimension + 1, at + i * strides[dimension]!);
  };
  visit(0, 0);
  return Uint8Array.from(bytes);
}

const view: fc.Arbitrary<View> = fc
  .record({
    axes: fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 40 })), { maxLength: 5 }),
    elementBytes: fc.constantFrom(1, 2, 4, 8),
  })
  .map(({ axes, elementBytes }) => ({
    shape: axes.map(([size]) => size),
    strides: axes.map(([, stride]) => stride),
    elementBytes,
  }));

function gathered(of: View, stored: Uint8Array, range: { first: number; count: number }): Uint8Array {
  const { shape, strides, elementBytes } = of;
  const placed = {
    info: { name: 'w', dtype: 'U8' as const, shape, byteLength: 0 },
    byteStart: 0,
    elementBytes,
    strides,
    key: '0',
  };
  return gatherElements(placed, range, (offset, bytes) => {
    expect(offset + bytes.length).toBeLessThanOrEqual(stored.length);
    bytes.set(stored.subarray(offset, offset + bytes.length));
  });
}

describe('gathering', () => {
  it('gives each element that the strides say, in every range', () => {
    fc.assert(
      fc.property(view, fc.nat(), fc.nat(), (of, a, b) => {
        const reach = of.shape.reduce((sum, size, i) => sum + (size - 1) * of.strides[i]!, 1);
        const stored = patterned(reach * of.elementBytes);
        const whole = elementsByDefinition(of, stored);
        const elements = whole.length / of.elementBytes;
        const first = a % elements;
        const count = 1 + (b % (elements - first));
        const expected = whole.slice(first * of.elementBytes, (first + count) * of.elementBytes);
        expect(gathered(of, stored, { first, count })).toEqual(expected);
      }),
      { numRuns: 500, seed: 20_261_121 },
    );
  });

  it('reads a transposed tensor in windows, each byte about once, and never the whole', () => {
    const [rows, columns] = [1024, 4096];
    const stored = patterned(rows * columns * 4);
    let bytesRead = 0;
    let largest = 0;
    const info = { name: 'w', dtype: 'F32' as const, shape: [columns, rows], byteLength: stored.length };
    const placed = { info, byteStart: 0, elementBytes: 4, strides: [1, columns], key: '0' };
    const result = gatherElements(placed, { first: 0, count: rows * columns }, (offset, bytes) => {
      bytesRead += bytes.length;
      largest = Math.max(largest, bytes.length);
      bytes.set(stored.subarray(offset, offset + bytes.length));
    });
    expect(bytesRead).toBe(stored.length);
    expect(largest).toBeLessThanOrEqual(1024 * 1024);
    const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (const [i, j] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [4095, 1023],
      [1234, 567],
    ] as const) {
      expect(words(result)[i * rows + j]).toBe(words(stored)[j * columns + i]);
    }
  });
});

it('reads ranges of a transposed tensor of 5 GB without reading it all', async () => {
  const side = 36_000;
  const far = patterned(4);
  const file = path.join(temporaryFolder(), 'model.pt');
  const of = tensor(storage('FloatStorage', '0', side * side), { shape: [side, side], strides: [1, side] });
  const [pickled, stored, ...others] = torchMembers(pickle(dict([text('w'), of])), [far]);
  // The last element, [side − 1, side − 1], is the only one that is not 0.
  writeZip(file, layOutZip([pickled!, { ...stored!, holeBytes: side * side * 4 - 4 }, ...others]));
  const checkpoint = await openCheckpoint(file);
  const { byteLength } = checkpoint.tensors.get('w')!;
  expect(byteLength).toBe(side * side * 4);
  const before = process.resourceUsage().maxRSS;
  expect(await checkpoint.read('w', { offset: byteLength - 8, length: 8 })).toEqual(Uint8Array.of(0, 0, 0, 0, ...far));
  expect((process.resourceUsage().maxRSS - before) / 1024).toBeLessThan(100);
  await checkpoint.close();
});
