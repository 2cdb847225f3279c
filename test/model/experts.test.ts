import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  disposeTables,
  embedBatches,
  forwardBlock,
  loadBlock,
  openModel,
  positionTables,
  runBlock,
} from '../../src/model/index.js';
import { routesOf } from '../../src/model/routes.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, randomIds, writeFixture } from '../fixtures/architectures/index.js';

const ALL = (count: number) => Int32Array.from({ length: count }, (_, i) => i);
const ln = Math.log;

describe('routesOf', () => {
  it('sends each token to its likeliest experts, with shares that add up to one', () => {
    // Rows of three experts: e^logit is 1, 2, 3 and 4, 1, 4.
    const routes = routesOf([ln(1), ln(2), ln(3), ln(4), ln(1), ln(4)], { count: 3, perToken: 2 }, ALL(2));
    expect(routes.map(({ rows }) => [...rows])).toEqual([[1], [0], [0, 1]]);
    const shares = routes.map((route) => [...route.shares]);
    expect(shares[0]![0]).toBeCloseTo(0.5);
    expect(shares[1]![0]).toBeCloseTo(2 / 5);
    expect(shares[2]![0]).toBeCloseTo(3 / 5);
    expect(shares[2]![1]).toBeCloseTo(0.5);
  });

  it('takes the first of equal experts, and only the rows that are asked for', () => {
    const routes = routesOf(new Float32Array(9), { count: 3, perToken: 2 }, Int32Array.of(2));
    expect(routes.map(({ rows }) => [...rows])).toEqual([[2], [2], []]);
  });

  it('sends nothing to a shed expert, also when too few are left', () => {
    const routes = routesOf([-1e30, 0.5, -1e30], { count: 3, perToken: 2 }, ALL(1));
    expect(routes.map(({ rows }) => [...rows])).toEqual([[], [0], []]);
    expect([...routes[1]!.shares]).toEqual([1]);
  });

  it('is right for logits that no exponential holds', () => {
    const [first, second] = routesOf([1000, 1000 + ln(3)], { count: 2, perToken: 2 }, ALL(1));
    expect(first!.shares[0]).toBeCloseTo(0.25);
    expect(second!.shares[0]).toBeCloseTo(0.75);
  });
});

describe('a block with experts', () => {
  const mixtral = fixtureModel(architectureFixtures['mixtral']!, {}, 4);
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  /** Block 0, and hidden states of two sequences of which one is padded. */
  async function prepared() {
    const model = await openModel(writeFixture(mixtral));
    const sequences = [randomIds(7, 60, 1), randomIds(4, 60, 2)].map((ids) => ({ ids }));
    const batches = batchesOf(sequences, 14);
    expect(batches).toHaveLength(1);
    const states = await createHiddenStates(batches, model.decoder.hidden, { memoryBytes: 2 ** 24, spillFolder: '' });
    await embedBatches(model, states);
    return { model, states, block: await loadBlock(model, 0, device), batch: batches[0]! };
  }

  it('shows of each expert the real tokens that go through it, each as it comes out of the norm', async () => {
    const { model, states, block } = await prepared();
    const seen = new Map<string, number[][]>();
    const pending: Promise<void>[] = [];
    const observe = (input: string, values: Tensor2D) => {
      const copy = values.clone();
      pending.push(
        device.read(copy).then((data) => {
          const width = values.shape[1];
          seen.set(
            input,
            Array.from({ length: values.shape[0] }, (_, row) => [...data.slice(row * width, (row + 1) * width)]),
          );
        }),
      );
    };
    await runBlock(block, states, device, { observe, store: false });
    await Promise.all(pending);
    const tokens = seen.get('ffn-norm')!;
    expect(tokens).toHaveLength(11);
    const { count, perToken } = block.spec.experts!;
    const experts = Array.from({ length: count }, (_, expert) => seen.get(`ffn-norm-${expert}`) ?? []);
    expect(experts.flat()).toHaveLength(11 * perToken);
    for (const token of tokens) {
      const through = experts.filter((rows) => rows.some((row) => row.every((value, i) => value === token[i])));
      expect(through).toHaveLength(perToken);
    }
    for (let expert = 0; expert < count; expert += 1) {
      expect(seen.get(`ffn-inner-${expert}`)?.length ?? 0).toBe(experts[expert]!.length);
    }
    disposeBlock(block);
    await states.close();
    await model.checkpoint.close();
  });

  it('computes the same along routes as with every expert for every token', async () => {
    const { model, states, block, batch } = await prepared();
    const values = await states.load(0);
    const hidden = device.upload(values.slice(), [batch.rows, batch.columns, model.decoder.hidden]) as Tensor3D;
    const tables = positionTables(block, batch.columns, device);
    const dense = forwardBlock(block, hidden, tables);
    const expected = await device.read(dense);
    await runBlock(block, states, device, { store: true });
    const routed = await states.load(0);
    const width = model.decoder.hidden;
    batch.lengths.forEach((length, row) => {
      for (let i = row * batch.columns * width; i < (row * batch.columns + length) * width; i += 1) {
        expect(Math.abs(routed[i]! - expected[i]!)).toBeLessThan(1e-5);
      }
    });
    dense.dispose();
    hidden.dispose();
    disposeTables(tables);
    disposeBlock(block);
    await states.close();
    await model.checkpoint.close();
  });

  it('refuses to show experts’ inputs where there are no routes', async () => {
    const { model, states, block, batch } = await prepared();
    const hidden = device.upload(await states.load(0), [batch.rows, batch.columns, model.decoder.hidden]) as Tensor3D;
    const tables = positionTables(block, batch.columns, device);
    expect(() => forwardBlock(block, hidden, tables, () => {})).toThrow(RangeError);
    hidden.dispose();
    disposeTables(tables);
    disposeBlock(block);
    await states.close();
    await model.checkpoint.close();
  });
});
