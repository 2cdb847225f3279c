import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { batchesOf, createHiddenStates } from '../../src/model/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-states-'));
afterAll(() => rmSync(folder, { recursive: true }));

const batches = batchesOf(
  [3, 2, 2].map((length) => ({ ids: new Int32Array(length) })),
  3,
);
const valuesOf = (i: number, salt = 0) =>
  Float32Array.from({ length: batches[i]!.rows * batches[i]!.columns * 4 }, (_, k) => 100 * i + k + salt);

describe.each([
  { place: 'in memory', memoryBytes: 2 ** 20, spilled: false },
  { place: 'in a file', memoryBytes: 16, spilled: true },
])('hidden states $place', ({ memoryBytes, spilled }) => {
  it('give back what was stored last, in any order', async () => {
    const states = await createHiddenStates(batches, 4, { memoryBytes, spillFolder: folder });
    expect(states.spilled).toBe(spilled);
    for (const i of [2, 0, 1]) await states.store(i, valuesOf(i));
    await states.store(1, valuesOf(1, 0.5));
    expect(await states.load(2)).toEqual(valuesOf(2));
    expect(await states.load(1)).toEqual(valuesOf(1, 0.5));
    expect(await states.load(0)).toEqual(valuesOf(0));
    await states.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuse what was never stored, and values of another size', async () => {
    const states = await createHiddenStates(batches, 4, { memoryBytes, spillFolder: folder });
    await expect(states.load(0)).rejects.toThrow('never stored');
    await expect(states.store(0, new Float32Array(5))).rejects.toThrow(RangeError);
    await states.close();
  });
});

describe('hidden states in a file', () => {
  it.skipIf(process.platform === 'win32')('leave no name behind that a killed process could not clean up', async () => {
    const states = await createHiddenStates(batches, 4, { memoryBytes: 0, spillFolder: path.join(folder, 'new') });
    await states.store(0, valuesOf(0));
    expect(readdirSync(path.join(folder, 'new'))).toEqual([]);
    await states.close();
    rmSync(path.join(folder, 'new'), { recursive: true });
  });

  it('are used as soon as the states are one byte over the bound', async () => {
    const bytes = 4 * 7 * 4;
    const spilled = async (memoryBytes: number) => {
      const states = await createHiddenStates(batches, 4, { memoryBytes, spillFolder: folder });
      await states.close();
      return states.spilled;
    };
    expect(await spilled(bytes)).toBe(false);
    expect(await spilled(bytes - 1)).toBe(true);
  });
});
