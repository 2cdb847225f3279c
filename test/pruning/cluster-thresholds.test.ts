import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Model } from '../../src/model/index.js';
import { pruneEdit, type ThresholdSettings } from '../../src/pruning/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { type TinySession, tinySession } from '../evidence/tiny-session.js';
import { pruneOurs } from '../reference/our-pruning.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';

let device: Device;
let session: TinySession;
let once: Awaited<ReturnType<typeof prune>>;
beforeAll(async () => {
  device = await openDevice('cpu');
  const config = { ...TINY_LLAMA, hidden_size: 16, intermediate_size: 28, vocab_size: 31 };
  session = await tinySession(tinyModel(config, 2), [24, 24, 17, 20]);
  once = await prune();
});
afterAll(async () => {
  await session.close();
  await device.close();
});

/** Little of everything: what is proved here holds for any number. */
const QUICK: ThresholdSettings = { clusters: 2, generations: 2, offspring: 4 };

interface Threshold {
  readonly tensor: string;
  readonly cluster: number;
  readonly rows: number;
  readonly removed: number;
  readonly sparsity: number;
  readonly health: number;
  readonly reason: string;
}

async function prune(options: Partial<Parameters<typeof pruneOurs>[1]> = {}, model: Model = session.model) {
  const notices: string[] = [];
  const pruned = await pruneOurs(model, {
    method: 'wanda',
    pattern: '70%',
    thresholds: 'cluster',
    clusterThresholds: QUICK,
    calibration: session.sequences.map((ids) => ({ ids })),
    device,
    report: (event) => {
      if (event.type === 'notice') notices.push(event.message);
    },
    ...options,
  });
  return { ...pruned, notices, rows: (pruned.details?.['thresholds'] ?? []) as readonly Threshold[] };
}

/** How many weights of each row a mask removes. */
function goneByRow(bits: Uint8Array, rows: number, columns: number): number[] {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (__, column) => row * columns + column).reduce(
      (sum, i) => sum + (1 - ((bits[i >>> 3]! >>> (i & 7)) & 1)),
      0,
    ),
  );
}

const linearsOf = ({ decoder }: Model) => decoder.blocks.flatMap(({ linears }) => linears);
const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

describe('thresholds of clusters', () => {
  it('remove the budget exactly, as many of each cluster as the record says and of its rows alike, the same at every run', async () => {
    const before = device.memory();
    const again = await prune();
    const { masks, rows } = once;
    const linears = linearsOf(session.model);
    const elements = sumOf(linears.map((spec) => spec.rows * spec.columns));
    const all = new Map(
      linears.map((spec) => [spec.weight, goneByRow(masks.get(spec.weight)!, spec.rows, spec.columns)]),
    );
    expect(sumOf([...all.values()].flat())).toBe(Math.floor(0.7 * elements + 1e-9));
    expect(sumOf(rows.map(({ removed }) => removed))).toBe(Math.floor(0.7 * elements + 1e-9));
    for (const [weight, gone] of all) {
      const own = rows.filter(({ tensor }) => tensor === weight);
      // Rows that lose a number are those of one cluster: as many rows, and as many weights.
      const expected = own.flatMap(({ rows: count, removed }) =>
        Array.from({ length: count }, (_, i) => Math.floor(removed / count) + (i < removed % count ? 1 : 0)),
      );
      expect(gone.toSorted((a, b) => a - b)).toEqual(expected.toSorted((a, b) => a - b));
    }
    expect(new Set(rows.map(({ sparsity }) => sparsity.toFixed(3))).size).toBeGreaterThan(4);
    expect([...again.masks].map(([name, bits]) => [name, Buffer.from(bits).toString('hex')])).toEqual(
      [...masks].map(([name, bits]) => [name, Buffer.from(bits).toString('hex')]),
    );
    expect(again.details).toEqual(JSON.parse(JSON.stringify(again.details)));
    expect(device.memory()).toEqual(before);
  });

  it('say what is expected before anything is removed, and keep history, finalists and front', () => {
    const { notices, details } = once;
    expect(notices).toContainEqual(
      expect.stringMatching(/^Thresholds for 70\.0 %: 28 clusters lose .* nats a token is expected; the same sparsity/),
    );
    const { thresholdFinalists, thresholdSearch, thresholdFront } = details as Record<string, Record<string, never>[]>;
    expect(thresholdFinalists!.map(({ name }) => name).sort()).toEqual([
      'error',
      'figures',
      'owl',
      'search',
      'uniform',
    ]);
    expect(thresholdFinalists!.filter(({ chosen }) => chosen)).toEqual([thresholdFinalists![0]]);
    expect(thresholdSearch!.map(({ generation }) => generation)).toEqual([1, 2]);
    expect(thresholdFront!.length).toBeGreaterThan(2);
  });

  it('heed what the recipe sets by hand, and refuse names of nothing before any search', async () => {
    const overrides = { 'model.layers.0.mlp.up_proj.weight': 0.5 };
    const { rows } = await prune({ clusterThresholds: { ...QUICK, overrides } });
    for (const { sparsity, reason } of rows.filter(({ tensor }) => tensor === 'model.layers.0.mlp.up_proj.weight')) {
      expect(sparsity).toBe(0.5);
      expect(reason).toBe('set by hand: model.layers.0.mlp.up_proj.weight');
    }
    const wrong = prune({ clusterThresholds: { ...QUICK, overrides: { 'model.layers.0.mlp.upp_proj.weight': 0.5 } } });
    await expect(wrong).rejects.toThrow('fits no cluster of a matrix that pruning changes');
  });

  it('give nothing back in a later wave, know how each cluster has fared, and meet its budget exactly', async () => {
    const first = await prune({ pattern: '50%' });
    const second = await prune({ dense: session.model, earlier: [{}, first.details!] }, first.model);
    const linears = linearsOf(session.model);
    let gone = 0;
    for (const { weight, rows, columns } of linears) {
      const [before, after] = [first.masks.get(weight)!, second.masks.get(weight)!];
      for (let i = 0; i < rows * columns; i += 1) {
        const bit = (bits: Uint8Array) => (bits[i >>> 3]! >>> (i & 7)) & 1;
        if (bit(before) === 0) expect(bit(after)).toBe(0);
        gone += 1 - bit(after);
      }
    }
    const elements = sumOf(linears.map((spec) => spec.rows * spec.columns));
    expect(gone).toBe(Math.floor(0.7 * elements + 1e-9));
    const health = second.rows.map((row) => row.health);
    expect(Math.min(...health)).toBeGreaterThan(0);
    expect(Math.max(...health)).toBeLessThan(1);
    const starts = second.details!['thresholdFinalists'] as readonly { readonly name: string }[];
    expect(starts.map(({ name }) => name)).toContain('earlier');
  });

  it.each(['sparsegpt', 'wanda + refit'] as const)('meet the budget by %s, too', async (method) => {
    const { masks } = await prune({ method, pattern: '60%' });
    const linears = linearsOf(session.model);
    const gone = linears.flatMap(({ weight, rows, columns }) => goneByRow(masks.get(weight)!, rows, columns));
    const elements = sumOf(linears.map((spec) => spec.rows * spec.columns));
    expect(sumOf(gone)).toBe(Math.floor(0.6 * elements + 1e-9));
  });

  it('need two windows: one to tune on, one to decide on', async () => {
    const one = prune({ calibration: [{ ids: session.sequences[0]! }] });
    await expect(one).rejects.toThrow('it has one window alone');
  });

  it('have nothing to divide where groups of M decide, and need text', async () => {
    const settings = { metric: 'magnitude', thresholds: 'cluster' };
    await expect(pruneEdit({ ...settings, pattern: '2:4' })).rejects.toThrow('leaves nothing to divide');
    expect((await pruneEdit({ ...settings, pattern: 'unstructured', sparsity: 0.5 })).needsCalibration).toBe(true);
  });
});
