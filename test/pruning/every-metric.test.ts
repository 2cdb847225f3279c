import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCalibration } from '../../src/corpus/index.js';
import { silent } from '../../src/events.js';
import { metrics } from '../../src/importance/index.js';
import { loadTokenizer, type Model, openModel } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { pruneEdit, type ScoreContext, scoreModel } from '../../src/pruning/index.js';
import type { MatrixScores } from '../../src/sparsity/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { makeWorkplace } from '../fixtures/workplace.js';

let folder: string;
let device: Device;
let model: Model;
let calibration: ScoreContext['calibration'];
beforeAll(async () => {
  folder = makeWorkplace();
  const place = path.join(folder, 'models', 'fledgling');
  device = await openDevice('cpu');
  model = await openModel(place);
  const tokenizer = await loadTokenizer(place);
  const text = { windows: 3, context: 16, maxContext: model.decoder.maxContext };
  calibration = (await readCalibration(path.join(place, 'calibration.txt'), tokenizer, text)).passages;
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
  rmSync(folder, { recursive: true, force: true });
});

const contextWith = (memoryBytes: number): ScoreContext => ({
  model,
  device,
  calibration,
  memoryBytes,
  spillFolder: tmpdir(),
  report: silent,
});

async function keptBy(metric: string, compare: 'row' | 'layer' | 'global') {
  const edit = await pruneEdit({ metric, pattern: 'unstructured', sparsity: 0.5, compare });
  const masks = new Map<string, Uint8Array>();
  const writer = {
    writeMask: async (name: string, bits: Uint8Array) => void masks.set(name, bits),
    writeValues: () => Promise.reject(new Error('a mask is enough')),
  };
  const marks = { marks: Marks.none, spared: Marks.none };
  await edit.propose({ ...contextWith(2 ** 30), ...marks, target: edit.target, writer });
  return masks;
}

function bitCount(bits: Uint8Array): number {
  return bits.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

async function scoresBy(metric: string, memoryBytes = 2 ** 30): Promise<Map<string, MatrixScores>> {
  const found = new Map<string, MatrixScores>();
  const chosen = new Map([[metric, await metrics.load(metric)]]);
  for await (const { spec, scores } of scoreModel(chosen, contextWith(memoryBytes))) {
    found.set(spec.weight, scores.get(metric)!);
  }
  return found;
}

describe.each(metrics.names)('pruning by %s', (metric) => {
  it.each(['row', 'layer', 'global'] as const)('removes half of the weights, compared by %s', async (compare) => {
    const masks = await keptBy(metric, compare);
    const matrices = model.decoder.blocks.flatMap((block) => block.linears);
    expect([...masks.keys()].sort()).toEqual(matrices.map(({ weight }) => weight).sort());
    const elements = matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
    const kept = [...masks.values()].reduce((sum, bits) => sum + bitCount(bits), 0);
    expect(kept).toBe(elements / 2);
    for (const { weight, rows, columns } of matrices) {
      if (compare !== 'global') expect(bitCount(masks.get(weight)!), weight).toBe((rows * columns) / 2);
    }
  });

  it('keeps the larger scores of the whole model, compared globally', async () => {
    const masks = await keptBy(metric, 'global');
    let [lowestKept, highestGone] = [Number.POSITIVE_INFINITY, 0];
    for (const [name, { values }] of await scoresBy(metric)) {
      values.forEach((value, i) => {
        const kept = (masks.get(name)![i >>> 3]! >>> (i & 7)) & 1;
        if (kept === 1) lowestKept = Math.min(lowestKept, value);
        else highestGone = Math.max(highestGone, value);
      });
    }
    expect(highestGone).toBeLessThanOrEqual(lowestKept);
  });

  it('finds the same with everything that may be spilled in files', async () => {
    expect(await scoresBy(metric, 0)).toEqual(await scoresBy(metric));
  });

  it('leaves nothing on the device', async () => {
    await scoresBy(metric);
    const { tensors } = device.memory();
    await scoresBy(metric);
    await keptBy(metric, 'row');
    expect(device.memory().tensors).toBe(tensors);
  });
});
