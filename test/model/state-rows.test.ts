import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { batchesOf, createHiddenStates, stateRows } from '../../src/model/index.js';
import { rowsAt } from '../../src/model/state-rows.js';
import { availableDevices, openDevice, ResidentRoom } from '../../src/tensor/index.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

describe('rowsAt', () => {
  it('copies the rows at the positions, runs and single ones', () => {
    const hidden = Float32Array.from({ length: 14 }, (_, i) => i);
    expect([...rowsAt(hidden, Int32Array.of(1, 2, 4, 6), 2)]).toEqual([2, 3, 4, 5, 8, 9, 12, 13]);
    expect([...rowsAt(hidden, Int32Array.of(), 2)]).toEqual([]);
  });
});

describe.skipIf(missing !== undefined)(`stateRows on a GPU${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it('are the same of a batch that stays there, of which nothing travels, and of one that does not', async () => {
    const gpu = await openDevice('webgpu');
    try {
      const [columns, width] = [5, 3];
      const passages = Array.from({ length: 4 }, () => ({ ids: new Int32Array(columns) }));
      const travelled: string[] = [];
      const read: typeof gpu.read = (tensor) => {
        travelled.push('down');
        return gpu.read(tensor);
      };
      const upload: typeof gpu.upload = (values, shape) => {
        travelled.push('up');
        return gpu.upload(values, shape);
      };
      // Two batches of two windows, of which one stays.
      const device = { ...gpu, read, upload, resident: new ResidentRoom(4 * 2 * columns * width) };
      const batches = batchesOf(passages, 2 * columns);
      const states = await createHiddenStates(batches, width, { device, memoryBytes: 2 ** 20, spillFolder: tmpdir() });
      const values = Float32Array.from({ length: 2 * columns * width }, (_, i) => Math.sin(i));
      for (const i of batches.keys()) await states.store(i, values);
      const before = gpu.memory();
      const positions = Int32Array.of(9, 0, 1, 6);
      const expected = Float32Array.from({ length: 4 * width }, (_, i) =>
        Math.fround(Math.sin(positions[Math.floor(i / width)]! * width + (i % width))),
      );
      for (const [i, moves] of [[], ['up']].entries()) {
        travelled.length = 0;
        const rows = await stateRows(states, i, positions, device);
        expect(travelled).toEqual(moves);
        expect(await gpu.read(rows)).toEqual(expected);
        rows.dispose();
      }
      expect(gpu.memory()).toEqual(before);
      await states.close();
    } finally {
      await gpu.close();
    }
  });
});
