import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats } from '../../src/checkpoint/index.js';
import { type LinearSpec, type Model, openModel } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, randomIds, writeFixture } from '../fixtures/architectures/index.js';
import { pruneOurs } from '../reference/our-pruning.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** A linear's weight as [rows, columns], read by what its spec says of the layout. */
async function weightsOf({ checkpoint }: Model, spec: LinearSpec): Promise<Float32Array> {
  const stored = await readFloats(checkpoint, spec.weight);
  if (spec.layout !== 'in-out') return stored;
  const { rows, columns } = spec;
  return stored.map((_, i) => stored[(i % columns) * rows + Math.floor(i / columns)]!);
}

describe.each(Object.keys(architectureFixtures))('%s', (modelType) => {
  it.each(['wanda', 'sparsegpt'] as const)(
    '%s keeps 2 of every 4 inputs, however a weight is stored',
    async (method) => {
      const model = await openModel(writeFixture(fixtureModel(architectureFixtures[modelType]!)));
      const calibration = [1, 2, 3].map((seed) => ({
        ids: Int32Array.from(randomIds(16, model.decoder.vocabulary, seed)),
      }));
      const pruned = await pruneOurs(model, { method, pattern: '2:4', calibration, device });
      for (const spec of model.decoder.blocks.flatMap(({ linears }) => linears)) {
        const [before, after] = [await weightsOf(model, spec), await weightsOf(pruned.model, spec)];
        // Its few weights decide which expert a token goes to.
        if (spec.role === 'router') expect(after, spec.weight).toEqual(before);
        else expect(worstGroup(after, spec.columns), spec.weight).toBe(2);
      }
      await model.checkpoint.close();
    },
  );
});

/** The most weights that any group of four inputs keeps. */
function worstGroup(values: Float32Array, columns: number): number {
  let most = 0;
  for (let row = 0; row < values.length; row += columns) {
    for (let start = 0; start + 4 <= columns; start += 4) {
      const group = values.subarray(row + start, row + start + 4);
      most = Math.max(most, group.filter((value) => value !== 0).length);
    }
  }
  return most;
}
