import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import {
  apartAbove,
  applyNorm,
  batchesOf,
  createHiddenStates,
  disposeBlock,
  disposeNorm,
  embedBatches,
  loadBlock,
  loadFinalNorm,
  loadHead,
  type Model,
  runBlock,
  type TokenBatch,
} from '../../src/model/index.js';
import { type Device, disposeMatrix, linear, softcap } from '../../src/tensor/index.js';

/** Logits [t · vocabulary] of each sequence, by the same steps that every pass over a text takes. */
export async function logitsOf(
  model: Model,
  sequences: readonly Int32Array[],
  device: Device,
  maxTokens = 512,
): Promise<Float32Array[]> {
  const batches = batchesOf(
    sequences.map((ids) => ({ ids })),
    maxTokens,
    apartAbove(model.decoder),
  );
  const { hidden: hiddenSize, blocks } = model.decoder;
  const states = await createHiddenStates(batches, hiddenSize, { memoryBytes: 2 ** 30, spillFolder: '' });
  await embedBatches(model, states);
  for (const { index } of blocks) {
    const block = await loadBlock(model, index, device);
    await runBlock(block, states, device, { store: true });
    disposeBlock(block);
  }
  const results: Float32Array[] = [];
  for (const [i, batch] of batches.entries()) {
    const rows = await headOf(model, batch, await states.load(i), device);
    batch.passages.forEach((passage, row) => {
      results[passage] = rows[row]!;
    });
  }
  await states.close();
  return results;
}

/** Per row of the batch, the logits of its real positions. */
async function headOf(model: Model, batch: TokenBatch, values: Float32Array, device: Device): Promise<Float32Array[]> {
  const width = model.decoder.hidden;
  const norm = await loadFinalNorm(model, device);
  const head = await loadHead(model, device);
  const results: Float32Array[] = [];
  for (const [row, length] of batch.lengths.entries()) {
    const start = row * batch.columns * width;
    const hidden = device.upload(values.subarray(start, start + length * width), [length, width]) as Tensor2D;
    const normed = applyNorm(norm, hidden);
    const raw = linear(normed, head);
    const cap = model.decoder.finalSoftcap;
    const logits = cap === undefined ? raw : softcap(raw, cap);
    results.push((await device.read(logits)) as Float32Array);
    dispose([hidden, normed, raw, logits]);
  }
  disposeNorm(norm);
  disposeMatrix(head);
  return results;
}

/** The position of the largest value of row `row`; the first of equal ones. */
export function argMaxOfRow(values: ArrayLike<number>, row: number, columns: number): number {
  let best = 0;
  for (let column = 1; column < columns; column++) {
    if (values[row * columns + column]! > values[row * columns + best]!) best = column;
  }
  return best;
}

/** −ln softmax(row)[target] in f64, nats. */
export function negativeLogLikelihood(values: ArrayLike<number>, row: number, columns: number, target: number): number {
  const largest = values[row * columns + argMaxOfRow(values, row, columns)]!;
  let total = 0;
  for (let column = 0; column < columns; column++) total += Math.exp(values[row * columns + column]! - largest);
  return Math.log(total) + largest - values[row * columns + target]!;
}
