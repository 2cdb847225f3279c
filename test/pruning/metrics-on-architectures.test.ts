import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats } from '../../src/checkpoint/index.js';
import { silent } from '../../src/events.js';
import { metrics } from '../../src/importance/index.js';
import { type LinearSpec, type Model, openModel } from '../../src/model/index.js';
import { scoreModel } from '../../src/pruning/index.js';
import { summarize } from '../../src/scoring/linear-summary.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, randomIds, writeFixture } from '../fixtures/architectures/index.js';

let device: Device;
const all = new Map<string, Awaited<ReturnType<typeof metrics.load>>>();
beforeAll(async () => {
  device = await openDevice('cpu');
  for (const name of metrics.names) all.set(name, await metrics.load(name));
});
afterAll(() => device.close());

/** A linear's magnitudes as [rows, columns], read by what its spec says of the layout. */
async function magnitudesOf({ checkpoint }: Model, { weight, rows, columns, layout }: LinearSpec) {
  const stored = (await readFloats(checkpoint, weight)).map(Math.abs);
  if (layout !== 'in-out') return stored;
  return stored.map((_, i) => stored[(i % columns) * rows + Math.floor(i / columns)]!);
}

describe.each(Object.keys(architectureFixtures))('%s', (modelType) => {
  it('has scores of every linear by every metric, and heads where there are heads', async () => {
    const model = await openModel(writeFixture(fixtureModel(architectureFixtures[modelType]!)));
    const calibration = [1, 2, 3].map((seed) => ({
      ids: Int32Array.from(randomIds(16, model.decoder.vocabulary, seed)),
    }));
    const context = { model, device, calibration, memoryBytes: 2 ** 30, spillFolder: tmpdir(), report: silent };
    const seen: LinearSpec[] = [];
    for await (const linear of scoreModel(all, context)) {
      const { spec, scores } = linear;
      seen.push(spec);
      const block = model.decoder.blocks[linear.block]!;
      const magnitudes = await magnitudesOf(model, spec);
      expect(scores.get('magnitude')!.values, spec.weight).toEqual(magnitudes);
      for (const { metric, all: summary, byHead } of summarize(linear, block)) {
        expect(summary.count).toBe(spec.rows * spec.columns);
        // An expert that no token of 48 was sent to counts for nothing.
        if (spec.expert === undefined) expect(summary.max, `${metric} ${spec.weight}`).toBeGreaterThan(0);
        const heads = { q: block.heads, o: block.heads, k: block.kvHeads, v: block.kvHeads }[spec.role as string];
        const fused = spec.role === 'qkv' ? block.heads + 2 * block.kvHeads : undefined;
        expect(byHead?.mean.length, `${metric} ${spec.weight}`).toBe(heads ?? fused);
      }
    }
    expect(seen).toEqual(model.decoder.blocks.flatMap(({ linears }) => linears));
    await model.checkpoint.close();
  });
});
