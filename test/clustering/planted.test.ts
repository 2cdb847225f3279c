import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ClusteredPopulation,
  type ClusteringContext,
  type ClusterSettings,
  clusterPopulation,
  clusterRows,
  type DescribeModelOptions,
  describeModel,
  type MatrixRowClusters,
} from '../../src/clustering/index.js';
import { compareClusterings } from '../../src/clusters/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, type TinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';
import { CHANNELS, plantedModel } from './planted-model.js';

const GONE = [4, 9];
const { model: reference, kinds } = plantedModel(GONE);
let folder: string;
let model: Model;
let device: Device;
let context: ClusteringContext;

beforeAll(async () => {
  folder = writeTinyModel(reference);
  model = await openModel(folder);
  device = await openDevice('cpu');
  context = { device, calibration: windows(), memoryBytes: 2 ** 24, spillFolder: folder, report: () => {} };
});
afterAll(async () => {
  await device.close();
  await model.checkpoint.close();
  rmSync(folder, { recursive: true });
});

function windows(): { ids: Int32Array }[] {
  const random = uniform(5);
  const id = () => Math.floor(TINY_LLAMA.vocab_size * random());
  return Array.from({ length: 6 }, () => ({ ids: Int32Array.from({ length: 24 }, id) }));
}

const SETTINGS: ClusterSettings = { by: 'functional', method: 'kmeans', k: 'auto', seed: 1 };

async function cluster(
  change: Partial<ClusterSettings> & Partial<Pick<DescribeModelOptions, 'kind'>> = {},
): Promise<ClusteredPopulation[]> {
  const { kind = 'ffn', ...rest } = change;
  const settings = { ...SETTINGS, ...rest };
  const found: ClusteredPopulation[] = [];
  for await (const population of describeModel(model, { kind, by: settings.by, seed: settings.seed }, context)) {
    found.push(await clusterPopulation(population, settings));
  }
  return found;
}

describe('planted channels', () => {
  it.each(['functional', 'structural', 'both'] as const)(
    'are found by %s descriptions, and how many kinds there are',
    async (by) => {
      const [first, second] = await cluster({ by });
      expect(first!.clustering!.k).toBe(3);
      expect(compareClusterings(first!.assignments, kinds).adjustedRand).toBeGreaterThanOrEqual(0.95);
      const live = [...kinds.keys()].filter((channel) => !GONE.includes(channel));
      const [found, planted] = [second!.assignments, kinds].map((all) =>
        Int32Array.from(live, (channel) => all[channel]!),
      );
      expect(compareClusterings(found!, planted!).adjustedRand).toBeGreaterThanOrEqual(0.95);
      expect([...second!.population.gone.keys()].filter((channel) => second!.population.gone[channel])).toEqual(GONE);
      expect(GONE.map((channel) => second!.assignments[channel])).toEqual([-1, -1]);
    },
  );

  it.each(['minibatch', 'hierarchical', 'dbscan'])('are found by %s, too', async (method) => {
    const [first] = await cluster({ method, by: 'both', k: method === 'dbscan' ? 'auto' : 3 });
    expect(compareClusterings(first!.assignments, kinds).adjustedRand).toBeGreaterThanOrEqual(0.95);
  });

  it('have spaces in which every kind of description has a variance of 1', async () => {
    const [first] = await cluster({ by: 'both' });
    const { features, families, names } = first!.points;
    expect(names).toHaveLength(features.dimensions);
    expect(names.slice(0, 5)).toEqual(['deviation', 'mean', 'kurtosis', 'sparseness', 'firing']);
    expect(names).toContain('norm of down');
    expect(families.map(({ name }) => name)).toEqual(['outputs', 'correlations', 'weights', 'reads', 'writes']);
    let offset = 0;
    for (const { dimensions } of families) {
      let variance = 0;
      for (let d = offset; d < offset + dimensions; d += 1) {
        const column = Array.from({ length: features.count }, (_, i) => features.values[i * features.dimensions + d]!);
        const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
        variance += column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length;
      }
      expect(variance).toBeCloseTo(1, 9);
      offset += dimensions;
    }
    expect(offset).toBe(features.dimensions);
  });

  it('contribute what they add to the residual stream', async () => {
    const [first] = await cluster();
    const [outputs, down] = [innerOutputs(0), reference.tensors.get('model.layers.0.mlp.down_proj.weight')!.values];
    for (const channel of [0, 1, 2, 47]) {
      const squares = outputs.reduce((sum, token) => sum + token[channel]! ** 2, 0) / outputs.length;
      const column = Array.from({ length: 32 }, (_, i) => down[i * CHANNELS + channel]!);
      expect(first!.population.contribution![channel]).toBeCloseTo(Math.sqrt(squares) * Math.hypot(...column), 5);
    }
  });

  it('are the same with the same seed', async () => {
    const [once, again] = [await cluster({ by: 'both' }), await cluster({ by: 'both' })];
    expect(again.map(({ assignments }) => assignments)).toEqual(once.map(({ assignments }) => assignments));
    expect(again[1]!.points.features).toEqual(once[1]!.points.features);
  });
});

describe('heads', () => {
  it('of the whole model are one population, and none is in a cluster where o is zero', async () => {
    const [heads, ...none] = await cluster({ kind: 'heads' });
    expect(none).toEqual([]);
    expect(heads!.population.parts).toEqual([
      { block: 0, count: 4 },
      { block: 1, count: 4 },
    ]);
    expect([...heads!.assignments]).toEqual(new Array(8).fill(-1));
    expect(heads!.clustering).toBeUndefined();
  });
});

describe('a model without a text', () => {
  it('is described by its weights alone, and refused where outputs are asked for', async () => {
    const silent = { ...context, calibration: [] };
    const populations = [];
    for await (const found of describeModel(model, { kind: 'ffn', by: 'structural', seed: 0 }, silent))
      populations.push(found);
    expect(populations.map(({ tokens, outputs }) => [tokens, outputs])).toEqual([
      [0, undefined],
      [0, undefined],
    ]);
    const asked = describeModel(model, { kind: 'ffn', by: 'both', seed: 0 }, silent);
    await expect(asked.next()).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('no text') });
  });
});

describe('rows of matrices', () => {
  it('are all in a cluster, whose figures are those of its rows', async () => {
    const found = await clusterRows(model, { ...SETTINGS, k: 3 }, context);
    expect([...found.keys()]).toEqual(
      model.decoder.blocks.flatMap(({ linears }) => linears.map(({ weight }) => weight)),
    );
    const gate = found.get('model.layers.1.mlp.gate_proj.weight')!;
    expect(gate.block).toBe(1);
    // What gives nothing has the last cluster for itself.
    const last = gate.clusters.length - 1;
    expect([...gate.assignments.keys()].filter((row) => gate.assignments[row] === last)).toEqual(GONE);
    expect(gate.clusters[last]).toMatchObject({ density: 0, importance: 0, mean: 0, variance: 0 });
    for (const { assignments, clusters } of found.values()) {
      const counts = new Array<number>(clusters.length).fill(0);
      for (const cluster of assignments) counts[cluster]! += 1;
      expect(clusters.map(({ rows }) => rows)).toEqual(counts);
      expect(counts).not.toContain(0);
    }
    expectFigures(gate);
  });

  it('have importances of their weights alone, and no outputs, without a text', async () => {
    const silent = { ...context, calibration: [] };
    const found = await clusterRows(model, { ...SETTINGS, by: 'structural', k: 2 }, silent);
    const { values } = (reference as TinyModel).tensors.get('model.layers.0.self_attn.q_proj.weight')!;
    const { assignments, clusters } = found.get('model.layers.0.self_attn.q_proj.weight')!;
    for (const { cluster, importance, ...rest } of clusters) {
      expect(Object.keys(rest).sort()).toEqual(['density', 'rows']);
      const own = [...assignments.keys()].filter((row) => assignments[row] === cluster);
      const weights = own.flatMap((row) => Array.from({ length: 32 }, (_, i) => values[row * 32 + i]!).map(Math.abs));
      expect(importance).toBeCloseTo(weights.reduce((sum, value) => sum + value, 0) / weights.length, 6);
    }
  });

  it('refuse a way of clustering that there is not', async () => {
    await expect(clusterRows(model, { ...SETTINGS, method: 'kmean' }, context)).rejects.toMatchObject({
      code: 'usage',
    });
  });
});

/** What goes into down of a block for every token, by the oracle. */
function innerOutputs(block: number): Float64Array[] {
  const vectors: Float64Array[] = [];
  for (const { ids } of windows()) {
    referenceLogits(reference, ids, (layer, input, found) => {
      if (layer === block && input === 'down') vectors.push(...found);
    });
  }
  return vectors;
}

/** Mean, variance and Wanda's importance of the gate's clusters, from the oracle's inputs. */
function expectFigures({ name, assignments, clusters }: MatrixRowClusters): void {
  const inputs: Float64Array[] = [];
  for (const { ids } of windows()) {
    referenceLogits(reference, ids, (layer, input, found) => {
      if (layer === 1 && input === 'gate-up') inputs.push(...found);
    });
  }
  const { values } = reference.tensors.get(name)!;
  const norms = Array.from({ length: 32 }, (_, i) => Math.hypot(...inputs.map((x) => x[i]!)));
  for (const { cluster, mean, variance, importance } of clusters.slice(0, -1)) {
    const rows = [...assignments.keys()].filter((row) => assignments[row] === cluster);
    const weights = rows.map((row) => Array.from({ length: 32 }, (_, i) => values[row * 32 + i]!));
    const outputs = weights.flatMap((row) => inputs.map((x) => row.reduce((sum, w, i) => sum + w * x[i]!, 0)));
    const middle = outputs.reduce((sum, value) => sum + value, 0) / outputs.length;
    expect(mean).toBeCloseTo(middle, 4);
    expect(variance! / (outputs.reduce((sum, value) => sum + (value - middle) ** 2, 0) / outputs.length)).toBeCloseTo(
      1,
      4,
    );
    const amounts = weights.flatMap((row) => row.map((w, i) => Math.abs(w) * norms[i]!));
    expect(importance).toBeCloseTo(amounts.reduce((sum, value) => sum + value, 0) / amounts.length, 4);
  }
}
