import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { schemeOf } from '../../src/quantization/index.js';
import { MatrixGrid } from '../../src/quantizing/matrix-grid.js';
import { gptq, prepareGptq, type Removal, type SolverMatrix, solvers } from '../../src/solvers/index.js';
import { parsePattern } from '../../src/sparsity/index.js';
import { availableDevices, ColumnSweep, type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, gramOf, randomValues } from './random.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

/** More than one block, the last of which is none of whole groups of four. */
const [rows, columns] = [9, 143];

describe.skipIf(missing !== undefined)(
  `sweeps on a GPU${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const gram = gramOf(correlatedTokens(3 * columns, columns, 5), columns);
    // Some weights are gone already.
    const weights = randomValues(rows * columns, 6).map((value, i) => (i % 11 === 0 ? 0 : value));
    const devices: Partial<Record<'cpu' | 'webgpu', Device>> = {};
    beforeAll(async () => {
      devices.cpu = await openDevice('cpu');
      devices.webgpu = await openDevice('webgpu');
    });
    afterAll(async () => {
      await devices.webgpu?.close();
      await devices.cpu?.close();
    });
    const matrix = (): SolverMatrix => ({ name: 'w', rows, columns, values: weights.slice() });
    const copy = () => ({ ...gram, values: gram.values.slice() });

    async function pruned(name: 'cpu' | 'webgpu', removal: Removal): Promise<Float32Array> {
      const device = await openDevice(name);
      const solver = await solvers.load('sparsegpt');
      if (solver.kind !== 'prunes') throw new Error('SparseGPT chooses its masks');
      const work = matrix();
      const before = device.memory();
      const prune = await solver.prepare(copy(), { name: 'w', device, report: silent });
      await prune(work, removal);
      expect(device.memory()).toEqual(before);
      await device.close();
      return work.values;
    }

    it('are what the GPU does, and the CPU leaves to the host', async () => {
      const factor = { values: gram.values, size: columns };
      for (const name of ['webgpu', 'cpu'] as const) {
        const device = await openDevice(name);
        const sweep = ColumnSweep.open(device, factor, matrix());
        expect(sweep === undefined).toBe(name === 'cpu');
        sweep?.dispose();
        const small = { ...device, maxTensorBytes: 4 * rows * columns };
        expect(ColumnSweep.open(small, factor, matrix())).toBeUndefined();
        await device.close();
      }
    });

    it.each(['2:4', '1:3', '50%'])('SparseGPT gives the weights that it gives on the host: %s', async (text) => {
      const pattern = await parsePattern(text === '50%' ? 'unstructured' : text);
      const removal: Removal =
        pattern.kind === 'fixed'
          ? { group: pattern.group, rule: () => pattern, mask: (scores) => pattern.mask(scores) }
          : { mask: (scores) => pattern.mask(scores, { sparsity: 0.5, compare: 'layer' }) };
      same(await pruned('webgpu', removal), await pruned('cpu', removal));
    });

    it.each([
      ['int4', false],
      ['int4', true],
      ['int8', false],
    ] as const)('GPTQ gives the codes that it gives on the host: %s, asymmetric %s', async (name, asymmetric) => {
      const scheme = { ...schemeOf(name, {}), symmetric: !asymmetric };
      const found: { readonly loss: number; readonly codes: Uint8Array; readonly values: Float32Array }[] = [];
      for (const on of ['webgpu', 'cpu'] as const) {
        const device = await openDevice(on);
        const inputs = await prepareGptq(copy(), { device, actOrder: true });
        const work = matrix();
        const grid = new MatrixGrid(work, scheme, { search: 'absmax', fittedBefore: true });
        const { loss } = await gptq(work, grid, inputs);
        found.push({ loss, codes: grid.result().codes as Uint8Array, values: work.values });
        await device.close();
      }
      const [gpu, host] = found as [(typeof found)[0], (typeof found)[0]];
      const differing = host.codes.reduce((count, code, i) => count + Number(code !== gpu.codes[i]), 0);
      // A weight half way between two codes may be rounded either way, and moves those behind it.
      expect(differing).toBeLessThan(0.01 * host.codes.length);
      expect(Math.abs(gpu.loss / host.loss - 1)).toBeLessThan(0.01);
      expect(weights.every((value, i) => value !== 0 || gpu.values[i] === 0)).toBe(true);
    });
  },
);

function same(found: Float32Array, expected: Float32Array): void {
  expect(found.map((value) => Number(value === 0))).toEqual(expected.map((value) => Number(value === 0)));
  for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4);
}
