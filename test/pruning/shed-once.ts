import { expect } from 'vitest';
import { type MemoryValues, memoryLayer, overlay } from '../../src/checkpoint/index.js';
import { type Model, withCheckpoint } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import type { Edit, EditContext, Proposal } from '../../src/pruning/index.js';
import type { Device } from '../../src/tensor/index.js';
import { uniform } from '../reference/tiny-model.js';

/** Windows of random ids. */
export function randomWindows(seed: number, windows = 12, length = 24, vocabulary = 61): { ids: Int32Array }[] {
  const next = uniform(seed);
  return Array.from({ length: windows }, () => ({
    ids: Int32Array.from({ length }, () => Math.floor(next() * vocabulary)),
  }));
}

/** The model with what one wave of the edit writes, all of which it has planned, and what it says of it. */
export async function shedOnce(
  model: Model,
  edit: Edit,
  context: Partial<EditContext> & { readonly device: Device },
): Promise<{ readonly model: Model; readonly proposal: Proposal }> {
  const masks = new Map<string, Uint8Array>();
  const values = new Map<string, MemoryValues>();
  const plan = edit.plan(model);
  const writer: EditContext['writer'] = {
    async writeMask(name, bits) {
      masks.set(name, bits);
    },
    async writeValues(name, offset, bytes) {
      const info = plan.values.find((planned) => planned.name === name)!;
      const known = values.get(name) ?? { info, bytes: new Uint8Array(info.byteLength) };
      known.bytes.set(bytes, offset);
      values.set(name, known);
    },
  };
  const proposal = await edit.propose({
    model,
    target: edit.target,
    calibration: randomWindows(1),
    marks: Marks.none,
    spared: Marks.none,
    writer,
    memoryBytes: 2 ** 28,
    spillFolder: '',
    report: () => {},
    ...context,
  });
  expect([...masks.keys()].sort()).toEqual(plan.masks.map(({ name }) => name).sort());
  expect([...values.keys()].sort()).toEqual(plan.values.map(({ name }) => name).sort());
  const [stored, added] = [true, false].map(
    (isStored) => new Map([...values].filter(([name]) => model.checkpoint.tensors.has(name) === isStored)),
  );
  const layer = memoryLayer(masks, stored, added);
  return { model: withCheckpoint(model, overlay(model.checkpoint, [layer])), proposal: proposal ?? {} };
}
