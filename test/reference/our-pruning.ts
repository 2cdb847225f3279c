import { tmpdir } from 'node:os';
import { memoryLayer, overlay } from '../../src/checkpoint/index.js';
import { silent } from '../../src/events.js';
import { type Model, withCheckpoint } from '../../src/model/index.js';
import { pruneEdit } from '../../src/pruning/index.js';
import type { Device } from '../../src/tensor/index.js';
import type { Method } from './pruning.js';

export interface OurSettings {
  readonly method: Method;
  /** As the reference writes it: "50%" or "2:4". */
  readonly pattern: string;
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly device: Device;
}

/** Prunes by the product's own edit, in one wave: the model under its masks, and the masks' bits by tensor name. */
export async function pruneOurs(model: Model, { method, pattern, calibration, device }: OurSettings) {
  const percent = /^(\d+)%$/.exec(pattern);
  const edit = await pruneEdit(
    percent === null
      ? { metric: method, pattern }
      : { metric: method, pattern: 'unstructured', sparsity: Number(percent[1]) / 100 },
  );
  const masks = new Map<string, Uint8Array>();
  const writer = {
    writeMask: async (name: string, bits: Uint8Array) => void masks.set(name, bits),
    writeValues: async () => Promise.reject(new Error('pruning writes masks only')),
    commit: async () => ({ sha256: '' }),
    abort: async () => {},
  };
  await edit.propose({
    model,
    device,
    target: edit.target,
    calibration: edit.needsCalibration ? calibration : [],
    writer,
    memoryBytes: 2 ** 30,
    spillFolder: tmpdir(),
    report: silent,
  });
  return { model: withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(masks)])), masks };
}
