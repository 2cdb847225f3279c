import { type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, SUMMED_ROWS } from '../../src/evidence/collector.js';
import { momentsCollector, normsCollector } from '../../src/evidence/column-statistics.js';
import { gramCollector } from '../../src/evidence/gram.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { uniform } from '../reference/tiny-model.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** Feeds rows [n, columns] to a collector in the given batches. */
async function feed(collector: Collector, rows: readonly Float32Array[], batches: readonly number[]) {
  const columns = rows[0]!.length;
  let start = 0;
  for (const count of batches) {
    const values = new Float32Array(count * columns);
    for (let i = 0; i < count; i++) values.set(rows[start + i]!, i * columns);
    const tensor = device.upload(values, [count, columns]) as Tensor2D;
    tidy(() => collector.observe(tensor));
    tensor.dispose();
    await collector.settle();
    start += count;
  }
  return collector.finish();
}

function randomRows(
  count: number,
  columns: number,
  valueAt: (column: number, noise: number) => number,
): Float32Array[] {
  const random = uniform(3);
  const noise = () => random() + random() + random() - 1.5;
  return Array.from({ length: count }, () => Float32Array.from({ length: columns }, (_, j) => valueAt(j, noise())));
}

function momentsOf(rows: readonly Float32Array[], column: number): { mean: number; variance: number } {
  const values = rows.map((row) => row[column]!);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
}

describe('the moments', () => {
  it('keep a deviation of 1 beside a mean of 10 000, which E[x²] − E[x]² in float32 loses', async () => {
    const rows = randomRows(3000, 3, (column, noise) => [10_000, 0, -3e4][column]! + noise);
    const { moments } = await feed(momentsCollector(3, device), rows, [1700, 1, 1299]);
    const [mean, variance] = [await device.read(moments!.mean), await device.read(moments!.variance)];
    for (const column of [0, 1, 2]) {
      const expected = momentsOf(rows, column);
      expect(Math.abs(mean[column]! - expected.mean)).toBeLessThan(1e-7 * Math.abs(expected.mean) + 1e-6);
      expect(Math.abs(variance[column]! / expected.variance - 1)).toBeLessThan(1e-5);
    }
    const naive = Math.fround(rows.reduce((a, row) => Math.fround(a + Math.fround(row[0]! ** 2)), 0) / 3000);
    const naiveVariance = naive - Math.fround(momentsOf(rows, 0).mean ** 2);
    expect(Math.abs(naiveVariance / momentsOf(rows, 0).variance - 1)).toBeGreaterThan(0.1);
    moments!.mean.dispose();
    moments!.variance.dispose();
  });

  it('of a constant column are that constant and exactly no variance', async () => {
    const rows = randomRows(40, 2, (column) => [0.1, 7][column]!);
    const { moments } = await feed(momentsCollector(2, device), rows, [13, 27]);
    expect([...(await device.read(moments!.variance))]).toEqual([0, 0]);
    expect([...(await device.read(moments!.mean))]).toEqual([Math.fround(0.1), 7]);
    moments!.mean.dispose();
    moments!.variance.dispose();
  });
});

describe('the Gram matrix', () => {
  it('is the same in tiles as whole, symmetric to the last bit, for any shape', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 23 }),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
        async (columns, tileColumns, batches) => {
          const count = batches.reduce((a, b) => a + b, 0);
          const rows = randomRows(count, columns, (_, noise) => noise);
          const { gram } = await feed(gramCollector(columns, device, tileColumns), rows, batches);
          expect(gram!.tokens).toBe(count);
          for (let i = 0; i < columns; i++) {
            for (let j = 0; j < columns; j++) {
              const expected = rows.reduce((total, row) => total + row[i]! * row[j]!, 0);
              expect(gram!.values[i * columns + j]).toBe(gram!.values[j * columns + i]);
              expect(Math.abs(gram!.values[i * columns + j]! - expected)).toBeLessThan(1e-5);
            }
          }
        },
      ),
      { numRuns: 40, seed: 4 },
    );
  });

  it('loses nothing to the number of tokens: 40 000 leave an error like 1000 do', async () => {
    const rows = randomRows(40_000, 4, (column, noise) => (column === 0 ? 1 : noise));
    const { gram } = await feed(gramCollector(4, device), rows, [20_000, 20_000]);
    expect(gram!.values[0]).toBe(40_000);
    const cross = rows.reduce((total, row) => total + row[1]! * row[2]!, 0);
    const scale = rows.reduce((total, row) => total + Math.abs(row[1]! * row[2]!), 0);
    expect(Math.abs(gram!.values[1 * 4 + 2]! - cross) / scale).toBeLessThan(3e-7);
  });
});

describe('the norms', () => {
  it('add up groups of rows in float64: an error like that of 1024 rows, however many there are', async () => {
    const rows = randomRows(SUMMED_ROWS * 60 + 5, 2, (column, noise) => (column === 0 ? 1e-3 : 1 + noise));
    const { norms } = await feed(normsCollector(2, device), rows, [rows.length]);
    const found = await device.read(norms!);
    for (const column of [0, 1]) {
      const expected = Math.sqrt(rows.reduce((total, row) => total + row[column]! ** 2, 0));
      expect(Math.abs(found[column]! / expected - 1)).toBeLessThan(1e-5);
    }
    const inFloat32 = Math.sqrt(rows.reduce((total, row) => Math.fround(total + Math.fround(row[0]! ** 2)), 0));
    expect(Math.abs(inFloat32 / Math.sqrt(rows.length * 1e-6) - 1)).toBeGreaterThan(5e-5);
    norms!.dispose();
  });
});
