import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metrics } from '../../src/importance/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';

/** Each metric in a float64 loop, from its paper. A metric without a line here fails the first test. */
const ORACLES: Record<string, (weight: number, inputNorm: number) => number> = {
  magnitude: (weight) => Math.abs(weight),
  wanda: (weight, inputNorm) => Math.abs(weight) * inputNorm,
};

const ROWS = 9;
const COLUMNS = 43;
/** Both signs, zeros of both signs, and magnitudes from 1e-30 to 1e30. */
const weight = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => {
  if (i % 50 === 7) return i % 100 === 7 ? 0 : -0;
  return Math.sin(i * 12.9898) * 10 ** ((i % 61) - 30);
});
/** One dead input among live ones. */
const norms = Float32Array.from({ length: COLUMNS }, (_, i) => (i === 5 ? 0 : 0.01 + Math.abs(Math.cos(i))));

it('every registered metric is under contract', () => {
  expect(Object.keys(ORACLES).sort()).toEqual([...metrics.names].sort());
});

for (const { name: deviceName, available, reason } of await availableDevices()) {
  const missing = available ? undefined : (reason ?? 'not available');
  describe.skipIf(missing !== undefined)(`on ${deviceName}${missing === undefined ? '' : `: ${missing}`}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
    });
    afterAll(() => device.close());

    describe.each(metrics.names)('metric %s', (metricName) => {
      async function score(values: Float32Array, rows: number): Promise<Float32Array> {
        const metric = await metrics.load(metricName);
        const w = device.upload(values, [rows, COLUMNS]) as Tensor2D;
        const inputNorms = device.upload(norms, [COLUMNS]) as Tensor1D;
        const scores = metric.score(w, { inputNorms });
        expect(scores.shape).toEqual([rows, COLUMNS]);
        const result = (await device.read(scores)) as Float32Array;
        expect(await device.read(w)).toEqual(values);
        for (const tensor of [w, inputNorms, scores]) tensor.dispose();
        return result;
      }

      it('gives every weight its finite score ≥ 0, as the float64 loop has it', async () => {
        const scores = await score(weight, ROWS);
        for (const [i, value] of scores.entries()) {
          const exact = ORACLES[metricName]!(weight[i]!, norms[i % COLUMNS]!);
          expect(value).toBeGreaterThanOrEqual(0);
          expect(Math.abs(value - exact)).toBeLessThanOrEqual(exact * 2 ** -22);
        }
      });

      it('scores larger weights higher within a column, whatever their sign', async () => {
        const scores = await score(weight, ROWS);
        for (let column = 0; column < COLUMNS; column++) {
          if (column === 5) continue;
          const rows = Array.from({ length: ROWS }, (_, row) => row * COLUMNS + column);
          const bySize = rows.toSorted((a, b) => Math.abs(weight[a]!) - Math.abs(weight[b]!));
          for (let i = 1; i < bySize.length; i++) {
            expect(scores[bySize[i]!]!).toBeGreaterThanOrEqual(scores[bySize[i - 1]!]!);
          }
        }
      });

      it('scores a row slice as it does the same rows of the matrix', async () => {
        const whole = await score(weight, ROWS);
        expect(await score(weight.slice(2 * COLUMNS, 5 * COLUMNS), 3)).toEqual(whole.slice(2 * COLUMNS, 5 * COLUMNS));
      });

      it('moves with the rows', async () => {
        const reversed = new Float32Array(weight.length);
        for (let row = 0; row < ROWS; row++) {
          reversed.set(weight.subarray(row * COLUMNS, (row + 1) * COLUMNS), (ROWS - 1 - row) * COLUMNS);
        }
        const straight = await score(weight, ROWS);
        const moved = await score(reversed, ROWS);
        for (let row = 0; row < ROWS; row++) {
          const from = (ROWS - 1 - row) * COLUMNS;
          expect(moved.slice(row * COLUMNS, (row + 1) * COLUMNS)).toEqual(straight.slice(from, from + COLUMNS));
        }
      });

      it('leaves no tensor behind but its result', async () => {
        await score(weight, ROWS);
        const { tensors } = device.memory();
        await score(weight, ROWS);
        expect(device.memory().tensors).toBe(tensors);
      });

      it('asks for the evidence it needs', async () => {
        const metric = await metrics.load(metricName);
        if (metric.needs.length === 0) return;
        const w = device.upload(weight, [ROWS, COLUMNS]) as Tensor2D;
        const short = device.upload(norms.slice(1), [COLUMNS - 1]) as Tensor1D;
        expect(() => metric.score(w, {})).toThrow('inputNorms');
        expect(() => metric.score(w, { inputNorms: short })).toThrow('42 input norms for 43 columns');
        w.dispose();
        short.dispose();
      });
    });
  });
}
