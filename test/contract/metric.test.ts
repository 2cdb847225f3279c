import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evidence, type EvidenceKind, metrics } from '../../src/importance/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';

const ROWS = 9;
const COLUMNS = 43;
/** Its input never fires, so no evidence of it is other than 0. */
const DEAD = 5;

/** What a float64 loop knows of one weight. */
interface Known extends Record<ColumnField | WeightField, number> {
  readonly weight: number;
  /** Σ_j |W_ij| of its row. */
  readonly rowSum: number;
}
type WeightField = 'gradient' | 'fisher';
type ColumnField = Exclude<keyof Evidence, WeightField>;

/** Each metric in a float64 loop, from its paper. A metric without a line here fails the first test. */
const ORACLES: Record<string, (known: Known) => number> = {
  magnitude: ({ weight }) => Math.abs(weight),
  wanda: ({ weight, inputNorms }) => Math.abs(weight) * inputNorms,
  ria: ({ weight, inputNorms, columnAbsSums, rowSum }) =>
    (Math.abs(weight) / columnAbsSums + Math.abs(weight) / rowSum) * Math.sqrt(inputNorms),
  taylor: ({ weight, gradient }) => Math.abs(weight * gradient),
  fisher: ({ weight, fisher }) => (fisher * weight ** 2) / 2,
  hessian: ({ weight, inverseHessianDiagonal: d }) => (d === 0 ? 0 : weight ** 2 / (2 * d)),
  activation: ({ weight, inputAbsMeans }) => (weight === 0 ? 0 : inputAbsMeans),
  flap: ({ weight, inputVariances }) => inputVariances * weight ** 2,
};

/** Which fields each kind of evidence fills in. */
const FIELDS: readonly (readonly [EvidenceKind, keyof Evidence])[] = [
  ['norms', 'inputNorms'],
  ['moments', 'inputMeans'],
  ['moments', 'inputVariances'],
  ['abs-means', 'inputAbsMeans'],
  ['column-sums', 'columnAbsSums'],
  ['inverse-hessian', 'inverseHessianDiagonal'],
  ['gradient', 'gradient'],
  ['fisher', 'fisher'],
];

/** Both signs, zeros of both signs, and magnitudes from 1e-15 to 1e15: their squares are single-precision numbers. */
const weight = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => {
  if (i % 50 === 7) return i % 100 === 7 ? 0 : -0;
  return Math.sin(i * 12.9898) * 10 ** ((i % 31) - 15);
});

const perColumn = (phase: number): Float32Array =>
  Float32Array.from({ length: COLUMNS }, (_, i) => (i === DEAD ? 0 : 0.01 + Math.abs(Math.cos(i + phase))));
const columnAbsSums = new Float32Array(COLUMNS);
for (const [i, value] of weight.entries()) columnAbsSums[i % COLUMNS]! += Math.abs(value);

const COLUMN_EVIDENCE: Record<ColumnField, Float32Array> = {
  inputNorms: perColumn(0),
  inputMeans: perColumn(1).map((value, i) => (i % 2 === 0 ? value : -value)),
  inputVariances: perColumn(2),
  inputAbsMeans: perColumn(3),
  columnAbsSums,
  inverseHessianDiagonal: perColumn(4),
};
const WEIGHT_EVIDENCE: Record<WeightField, Float32Array> = {
  gradient: weight.map((_, i) => (i % COLUMNS === DEAD ? 0 : Math.sin(i) / 100)),
  fisher: weight.map((_, i) => (i % COLUMNS === DEAD ? 0 : Math.sin(i) ** 2 / 1000)),
};

/** Consecutive rows of the example; the evidence that has one value a weight goes with them. */
interface Rows {
  readonly start: number;
  readonly count: number;
  readonly backwards?: boolean;
}
const ALL: Rows = { start: 0, count: ROWS };

function rowsOf(values: Float32Array, { start, count, backwards }: Rows): Float32Array {
  const rows = Array.from({ length: count }, (_, i) => start + (backwards ? count - 1 - i : i));
  return Float32Array.from(rows.flatMap((row) => [...values.subarray(row * COLUMNS, (row + 1) * COLUMNS)]));
}

function exactScores(metric: string): number[] {
  const row = (i: number) => Math.floor(i / COLUMNS) * COLUMNS;
  return [...weight].map((value, i) => {
    const of = (fields: Record<string, Float32Array>, at: number) =>
      Object.fromEntries(Object.entries(fields).map(([name, values]) => [name, values[at]!]));
    const rowSum = weight.subarray(row(i), row(i) + COLUMNS).reduce((sum, other) => sum + Math.abs(other), 0);
    const known = { ...of(COLUMN_EVIDENCE, i % COLUMNS), ...of(WEIGHT_EVIDENCE, i), rowSum, weight: value };
    return ORACLES[metric]!(known as Known);
  });
}

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

    function evidenceOf(rows: Rows): { evidence: Evidence; dispose: () => void } {
      const vectors = Object.entries(COLUMN_EVIDENCE).map(
        ([name, values]) => [name, device.upload(values, [COLUMNS])] as const,
      );
      const matrices = Object.entries(WEIGHT_EVIDENCE).map(
        ([name, values]) => [name, device.upload(rowsOf(values, rows), [rows.count, COLUMNS])] as const,
      );
      const evidence = Object.fromEntries([...vectors, ...matrices]) as Evidence;
      const dispose = (): void => {
        for (const tensor of Object.values(evidence)) tensor.dispose();
      };
      return { evidence, dispose };
    }

    describe.each(metrics.names)('metric %s', (metricName) => {
      async function score(rows: Rows): Promise<Float32Array> {
        const metric = await metrics.load(metricName);
        const values = rowsOf(weight, rows);
        const w = device.upload(values, [rows.count, COLUMNS]) as Tensor2D;
        const { evidence, dispose } = evidenceOf(rows);
        const scores = metric.score(w, evidence);
        expect(scores.shape).toEqual([rows.count, COLUMNS]);
        const result = (await device.read(scores)) as Float32Array;
        expect(await device.read(w)).toEqual(values);
        for (const tensor of [w, scores]) tensor.dispose();
        dispose();
        return result;
      }

      it('gives every weight its finite score ≥ 0, as the float64 loop has it', async () => {
        const scores = await score(ALL);
        const exact = exactScores(metricName);
        for (const [i, value] of scores.entries()) {
          expect(value).toBeGreaterThanOrEqual(0);
          // Three roundings of the device, and its sums of a row's 43 weights.
          expect(Math.abs(value - exact[i]!), `weight ${i}`).toBeLessThanOrEqual(exact[i]! * 2 ** -20);
        }
      });

      it('scores weights that are zero, or whose input never fires, 0 where it looks at that', async () => {
        const scores = await score(ALL);
        for (const [i, value] of weight.entries()) {
          const dead = i % COLUMNS === DEAD && metricName !== 'magnitude';
          if (value === 0 || dead) expect(scores[i], `weight ${i}`).toBe(0);
          else expect(scores[i], `weight ${i}`).toBeGreaterThan(0);
        }
      });

      // The first two look at each weight's own gradient, RIA at what else is in its row.
      it.skipIf(['taylor', 'fisher', 'ria'].includes(metricName))(
        'scores larger weights no lower within a column, whatever their sign',
        async () => {
          const scores = await score(ALL);
          for (let column = 0; column < COLUMNS; column++) {
            const rows = Array.from({ length: ROWS }, (_, row) => row * COLUMNS + column);
            const bySize = rows.toSorted((a, b) => Math.abs(weight[a]!) - Math.abs(weight[b]!));
            for (let i = 1; i < bySize.length; i++) {
              expect(scores[bySize[i]!]!).toBeGreaterThanOrEqual(scores[bySize[i - 1]!]!);
            }
          }
        },
      );

      it('scores a row slice as it does the same rows of the matrix', async () => {
        const whole = await score(ALL);
        expect(await score({ start: 2, count: 3 })).toEqual(whole.slice(2 * COLUMNS, 5 * COLUMNS));
      });

      it('moves with the rows', async () => {
        expect(await score({ ...ALL, backwards: true })).toEqual(rowsOf(await score(ALL), { ...ALL, backwards: true }));
      });

      it('leaves no tensor behind but its result', async () => {
        await score(ALL);
        const { tensors } = device.memory();
        await score(ALL);
        expect(device.memory().tensors).toBe(tensors);
      });

      it('needs what it says, no more, and of the right size', async () => {
        const metric = await metrics.load(metricName);
        const w = device.upload(weight, [ROWS, COLUMNS]) as Tensor2D;
        const { evidence, dispose } = evidenceOf(ALL);
        const used = FIELDS.filter(([kind]) => metric.needs.includes(kind)).map(([, field]) => field);
        const given = Object.fromEntries(used.map((field) => [field, evidence[field]]));
        metric.score(w, given).dispose();
        const short = device.upload(new Float32Array(COLUMNS - 1), [COLUMNS - 1]) as Tensor1D;
        const flat = device.upload(new Float32Array(COLUMNS), [1, COLUMNS]) as Tensor2D;
        for (const field of used) {
          if (field === 'inputMeans') continue;
          const wrong = field === 'gradient' || field === 'fisher' ? flat : short;
          const { [field]: _, ...rest } = given;
          expect(() => metric.score(w, rest)).toThrow(`scores need ${field}`);
          expect(() => metric.score(w, { ...given, [field]: wrong })).toThrow(field);
        }
        for (const tensor of [w, short, flat]) tensor.dispose();
        dispose();
      });
    });
  });
}
