import { memoryLayer, overlay, writeCheckpoint } from '../../src/checkpoint/index.js';
import { type Model, withCheckpoint } from '../../src/model/index.js';
import { type Marks, plateGraph, zeroMasks } from '../../src/plates/index.js';
import { cutModel } from '../../src/shedding/index.js';

/** The model at its full shape with the marked plates at zero. */
export function zeroed(model: Model, marks: Marks): Model {
  const masks = zeroMasks(plateGraph(model.decoder), marks);
  return withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(masks)]));
}

/** Writes the cut model as a folder of its own, as publishing does, and returns the folder. */
export async function writeCut(model: Model, marks: Marks, folder: string): Promise<string> {
  const view = await cutModel(zeroed(model, marks), marks);
  await writeCheckpoint(view, folder, { carryFrom: model.checkpoint.path });
  return folder;
}

/** The largest difference between two lists of logits, as a fraction of the largest logit where that is above 1. */
export function furthest(left: readonly Float32Array[], right: readonly Float32Array[]): number {
  const most = (row: Float32Array, of: (value: number, j: number) => number) =>
    row.reduce((largest, value, j) => Math.max(largest, Math.abs(of(value, j))), 0);
  const difference = Math.max(...left.map((row, i) => most(row, (value, j) => value - right[i]![j]!)));
  return difference / Math.max(1, ...right.map((row) => most(row, (value) => value)));
}
