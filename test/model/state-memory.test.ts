import { fill, type Tensor3D } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchesOf, createHiddenStates } from '../../src/model/index.js';
import { StateMemory } from '../../src/model/state-memory.js';
import { type Device, openDevice } from '../../src/tensor/index.js';

const filled = (length: number, value: number) => new Float32Array(length).fill(value);

describe('the memory of hidden states', () => {
  it('gives back what was written last to each place, and nothing before', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        lengths,
        fc.integer({ min: 4, max: 80 }),
        fc.infiniteStream(fc.nat(7)),
        (sizes, pieceBytes, order) => {
          const memory = new StateMemory(sizes, pieceBytes);
          const expected = new Map<number, Float32Array>();
          for (let step = 1; step <= 20; step += 1) {
            const i = order.next().value! % sizes.length;
            memory.write(i, filled(sizes[i]!, step));
            expected.set(i, filled(sizes[i]!, step));
            for (const [k] of sizes.entries()) expect(memory.get(k)).toEqual(expected.get(k));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('leaves an array where it is, holds no more than the piece says, and lets go of all of it', () => {
    const memory = new StateMemory([3, 3, 3, 20, 1], 4 * 7);
    for (const [i, length] of [3, 3, 3, 20, 1].entries()) memory.write(i, filled(length, i));
    const places = [0, 1, 2, 3, 4].map((i) => memory.get(i)!);
    expect(places[0]!.buffer).toBe(places[1]!.buffer);
    // A third would be over seven values; one that is larger than a piece has its own.
    expect([2, 3, 4].map((i) => places[i]!.buffer.byteLength)).toEqual([12, 80, 4]);
    const values = filled(3, 9);
    memory.write(0, values);
    values.fill(0);
    expect(places[0]).toEqual(filled(3, 9));
    memory.clear();
    expect(memory.get(0)).toBeUndefined();
  });
});

describe('hidden states in memory', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  it('are in the same memory after each block, as many bytes as they have', async () => {
    const [windows, tokens, hidden] = [6, 512, 256];
    const batches = batchesOf(
      Array.from({ length: windows }, () => ({ ids: new Int32Array(tokens) })),
      2 * tokens,
    );
    const states = await createHiddenStates(batches, hidden, { memoryBytes: 2 ** 30, spillFolder: '' });
    for (const [i] of batches.entries()) await states.store(i, filled(2 * tokens * hidden, i));
    const first = await states.load(0);
    expect(first.buffer.byteLength).toBe(4 * windows * tokens * hidden);
    const before = process.memoryUsage().arrayBuffers;
    for (let block = 1; block <= 8; block += 1) {
      for (const [i] of batches.entries()) {
        const output = fill([2, tokens, hidden], 100 * block + i) as Tensor3D;
        await states.storeTensor(i, output, device);
        output.dispose();
      }
      expect((await states.load(2))[7]).toBe(100 * block + 2);
    }
    // Copies of all outputs would be 25 MB, before a collector has a reason to look at them.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    expect((await states.load(0)).buffer).toBe(first.buffer);
    await states.close();
  });
});
