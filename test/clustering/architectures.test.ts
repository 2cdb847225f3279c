import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clusterPopulation,
  describeModel,
  NEURON_KINDS,
  type Population,
  populationNames,
} from '../../src/clustering/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  FIXTURE_TOKENS,
  fixtureModel,
  randomIds,
  writeFixture,
} from '../fixtures/architectures/index.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

async function populationsOf(model: Model, kind: (typeof NEURON_KINDS)[number]): Promise<Population[]> {
  const ids = (seed: number) => ({ ids: randomIds(FIXTURE_TOKENS, model.decoder.vocabulary, seed) });
  const context = { device, calibration: [ids(1), ids(2)], memoryBytes: 2 ** 24, spillFolder: '', report: () => {} };
  const found: Population[] = [];
  for await (const population of describeModel(model, { kind, by: 'both', seed: 0 }, context)) found.push(population);
  return found;
}

describe.each(Object.entries(architectureFixtures))('%s', (_, fixture) => {
  it('has neurons of every kind that are described and clustered, whatever its layout', async () => {
    const model = await openModel(writeFixture(fixtureModel(fixture)));
    try {
      const { blocks } = model.decoder;
      const before = device.memory();
      for (const kind of NEURON_KINDS) {
        const populations = await populationsOf(model, kind);
        expect(populations.map(({ name }) => name)).toEqual(populationNames(blocks, kind));
        const counts = {
          rows: blocks.flatMap(({ linears }) => linears.map(({ rows }) => rows)),
          ffn: blocks.flatMap(({ linears, ffn }) => linears.filter(({ role }) => role === 'down').map(() => ffn)),
          heads: [blocks.reduce((sum, { heads }) => sum + heads, 0)],
        };
        expect(populations.map(({ count }) => count)).toEqual(counts[kind]);
        for (const population of populations) {
          expect(population.families.map(({ name }) => name)).toEqual(
            expect.arrayContaining(['outputs', 'weights', 'reads']),
          );
          for (const { values, width } of population.families) {
            expect(values).toHaveLength(population.count * width);
            expect(values.every(Number.isFinite)).toBe(true);
          }
        }
        const [first] = populations;
        const { assignments } = await clusterPopulation(first!, { by: 'both', method: 'kmeans', k: 2, seed: 0 });
        expect(new Set(assignments)).toEqual(new Set([0, 1]));
      }
      expect(device.memory()).toEqual(before);
    } finally {
      await model.checkpoint.close();
    }
  });
});
