/** `rounding-stage hash|read|round|store MODEL`: one stage of bench/rounding.ts, which bundles it, as a process of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { silent } from '../../src/events.js';
import { hashCheckpoint } from '../../src/manifest/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { quantizeEdit } from '../../src/quantizing/index.js';
import { ObjectStore, StoredLayerWriter } from '../../src/store/index.js';
import { openDevice } from '../../src/tensor/index.js';

/** What a strip of rounding reads. */
const STRIP_BYTES = 8 * 2 ** 20;

const [stage, at] = process.argv.slice(2);
const model = await openModel(at!);
try {
  if (stage === 'hash') await hashCheckpoint(model.checkpoint);
  else if (stage === 'read') await readAll(model);
  else if (stage === 'round' || stage === 'store') await propose(model, stage === 'store');
  else throw new Error(`There is no stage ${stage}.`);
} finally {
  await model.checkpoint.close();
}

async function readAll({ checkpoint, decoder }: Model): Promise<void> {
  const into = new Uint8Array(STRIP_BYTES);
  for (const { weight } of decoder.blocks.flatMap((block) => block.linears)) {
    const { byteLength } = checkpoint.tensors.get(weight)!;
    for (let offset = 0; offset < byteLength; offset += STRIP_BYTES) {
      await checkpoint.read(weight, { offset, length: Math.min(STRIP_BYTES, byteLength - offset), into });
    }
  }
}

/** The edit's own work as the first wave of a run has it, into a store beside the model or into nothing. */
async function propose(model: Model, stores: boolean): Promise<void> {
  const edit = await quantizeEdit({ scheme: 'int4', groupSize: 64 }, 'compressed-tensors');
  const folder = await mkdtemp(path.join(path.dirname(at!), 'layer-'));
  const plan = edit.plan(model);
  // A run has them of its beginning.
  const digests = new Map(plan.values.map(({ name }) => [name, '0'.repeat(64)]));
  const layer = { wave: 1, plan, before: { checkpoint: model.checkpoint, layers: [], digests } };
  const writer = stores ? new StoredLayerWriter(new ObjectStore(path.join(folder, 'objects')), layer) : undefined;
  const nothing = { writeMask: async () => {}, writeValues: async () => {} };
  const device = await openDevice('cpu', { threads: 1 });
  try {
    await edit.propose({
      model,
      device,
      target: 1,
      calibration: [],
      marks: Marks.none,
      spared: Marks.none,
      compared: true,
      memoryBytes: 2 ** 30,
      spillFolder: folder,
      report: silent,
      writer: writer ?? nothing,
    });
    await writer?.commit();
  } finally {
    await device.close();
    await rm(folder, { recursive: true, force: true });
  }
}
