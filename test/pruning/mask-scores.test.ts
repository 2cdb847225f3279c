import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metrics } from '../../src/importance/index.js';
import type { LinearSpec, Model } from '../../src/model/index.js';
import { maskScores } from '../../src/pruning/mask-scores.js';
import { removals } from '../../src/pruning/plan-masks.js';
import { readScores, slicesOfMatrix } from '../../src/pruning/score-matrix.js';
import { parsePattern } from '../../src/sparsity/index.js';
import {
  availableDevices,
  canMaskOnDevice,
  type Device,
  disposeMatrix,
  openDevice,
  uploadMatrix,
} from '../../src/tensor/index.js';
import { random } from '../contract/wgsl/kernel-case.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

describe.skipIf(missing !== undefined)(
  `masks where the scores are${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice('webgpu');
      expect(canMaskOnDevice()).toBe(true);
    });
    afterAll(() => device.close());

    /** Scores by magnitude of a matrix in parts of three rows, which begin at any bit of a byte. */
    async function withScores(
      [rows, columns]: readonly [number, number],
      change: (values: Float32Array) => void,
      use: (at: { spec: LinearSpec; slices: ReturnType<typeof slicesOfMatrix> }) => Promise<void>,
    ): Promise<void> {
      const spec = { weight: 'w', rows, columns, role: 'q' } as unknown as LinearSpec;
      // Coarse, so that there are ties.
      const values = random([rows, columns], columns).data.map((value) => Math.round(8 * value) / 8);
      change(values);
      const weight = uploadMatrix({ ...device, maxTensorBytes: 3 * 4 * columns }, values, rows, columns);
      expect(weight.parts.length).toBe(Math.ceil(rows / 3));
      try {
        await use({ spec, slices: slicesOfMatrix(await metrics.load('magnitude'), spec, { weight }, device) });
      } finally {
        disposeMatrix(weight);
      }
    }

    async function removalOf(spec: LinearSpec, pattern: string, target: number) {
      const model = { decoder: { blocks: [{ index: 0, linears: [spec] }] } } as unknown as Model;
      return removals(model, { pattern: await parsePattern(pattern), compare: 'row', target })(spec.weight)!;
    }

    it.each([
      ['unstructured', 0.37, [7, 45]],
      ['unstructured', 1, [4, 9]],
      ['2:4', 0.5, [8, 30]],
      ['9:40', 0.775, [5, 101]],
      ['3:4294967300', 1, [4, 33]],
    ] as const)('%s at %f of %j are those of the host', async (pattern, target, shape) => {
      const before = device.memory();
      await withScores(
        shape,
        () => {},
        async ({ spec, slices }) => {
          const removal = await removalOf(spec, pattern, target);
          const onHost = removal.mask(await readScores(spec, slices, device));
          const refusing = { ...removal, mask: () => expect.fail('the host was asked') };
          expect(await maskScores(refusing, spec, slices, device)).toEqual(onHost);
        },
      );
      expect(device.memory()).toEqual(before);
    });

    it('names the weight whose score has no rank, as the host does', () =>
      withScores(
        [7, 10],
        (values) => {
          values[4 * 10 + 3] = Number.NaN;
        },
        async ({ spec, slices }) => {
          const removal = await removalOf(spec, 'unstructured', 0.5);
          await expect(maskScores(removal, spec, slices, device)).rejects.toThrow('w[4, 3] is NaN');
        },
      ));
  },
);

describe('masks of rows some at a time', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  /** Three pieces of 1 MiB of scores, whose rows begin at any bit of a byte. */
  const [rows, columns] = [700, 999];
  const spec = { weight: 'w', rows, columns, role: 'q' } as unknown as LinearSpec;
  const model = { decoder: { blocks: [{ index: 0, linears: [spec] }] } } as unknown as Model;

  async function scored(change: (values: Float32Array) => void) {
    const values = random([rows, columns], 1).data.map((value) => Math.round(8 * value) / 8);
    change(values);
    const weight = uploadMatrix(device, values, rows, columns);
    return { weight, slices: slicesOfMatrix(await metrics.load('magnitude'), spec, { weight }, device) };
  }

  it.each(['unstructured', '2:4'])('are those of all rows together: %s', async (pattern) => {
    const settings = { pattern: await parsePattern(pattern), compare: 'row', target: 0.5 } as const;
    const removal = removals(model, settings)('w')!;
    const { weight, slices } = await scored(() => {});
    const pieces: number[] = [];
    const counting = {
      ...removal,
      mask: (scores: Parameters<typeof removal.mask>[0]) => {
        pieces.push(scores.rows);
        return removal.mask(scores);
      },
    };
    expect(await maskScores(counting, spec, slices, device)).toEqual(
      removal.mask(await readScores(spec, slices, device)),
    );
    expect(pieces).toEqual([262, 262, 176]);
    disposeMatrix(weight);
  });

  it('names the row of the matrix in which a score has no rank', async () => {
    const { weight, slices } = await scored((values) => {
      values[600 * columns + 5] = Number.NaN;
    });
    const removal = removals(model, { pattern: await parsePattern('2:4'), compare: 'row', target: 0.5 })('w')!;
    await expect(maskScores(removal, spec, slices, device)).rejects.toThrow('w[600, 5] is NaN');
    disposeMatrix(weight);
  });
});
