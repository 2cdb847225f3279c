import {
  addN,
  dispose,
  div,
  gather,
  grads,
  logSoftmax,
  mul,
  neg,
  reshape,
  type Scalar,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@tensorflow/tfjs-core';
import { readFloats } from '../../src/checkpoint/index.js';
import {
  applyNorm,
  disposeBlock,
  disposeNorm,
  disposeTables,
  forwardBlock,
  loadBlock,
  loadFinalNorm,
  loadHead,
  positionTables,
} from '../../src/model/index.js';
import { type Device, disposeMatrix, enableGradients, linear } from '../../src/tensor/index.js';
import type { TinySession } from './tiny-session.js';

/** dL/dW of every linear weight, from one tape over embedding rows, all blocks, norm, head and loss of all windows. */
export async function wholeModelGradients(
  { model, sequences }: Pick<TinySession, 'model' | 'sequences'>,
  device: Device,
): Promise<Map<string, Float32Array>> {
  await enableGradients();
  const { decoder, checkpoint } = model;
  const table = await readFloats(checkpoint, decoder.embedding);
  const embedding = device.upload(table, [decoder.vocabulary, decoder.hidden]) as Tensor2D;
  const blocks = await Promise.all(decoder.blocks.map(({ index }) => loadBlock(model, index, device)));
  const [norm, head] = [await loadFinalNorm(model, device), await loadHead(model, device)];
  const windows = sequences.filter((ids) => ids.length > 1);
  const tables = windows.map((ids) => blocks.map((block) => positionTables(block, ids.length, device)));
  const predictions = windows.reduce((total, ids) => total + ids.length - 1, 0);
  const losses = () =>
    windows.map((ids, w) => {
      let hidden = reshape(gather(embedding, ids), [1, ids.length, decoder.hidden]) as Tensor3D;
      for (const [b, block] of blocks.entries()) hidden = forwardBlock(block, hidden, tables[w]![b]!);
      const logits = linear(applyNorm(norm, reshape(hidden, [ids.length, decoder.hidden]) as Tensor2D), head);
      return neg(sum(mul(logSoftmax(logits), nextTokens(ids, decoder.vocabulary, device))));
    });
  const loss = () => div(addN(losses()), predictions) as Scalar;
  const linears = blocks.flatMap((block) => [...block.linears]);
  const found = grads((..._: Tensor[]) => loss())(linears.map(([, { weight }]) => weight.parts[0]!));
  const gradients = new Map<string, Float32Array>();
  for (const [i, [name]] of linears.entries()) gradients.set(name, (await device.read(found[i]!)) as Float32Array);
  dispose([embedding, ...found]);
  tables.flat().forEach(disposeTables);
  blocks.forEach(disposeBlock);
  disposeNorm(norm);
  disposeMatrix(head);
  return gradients;
}

/** [t, vocabulary]: 1 at each row's next token; the last row predicts nothing. */
function nextTokens(ids: Int32Array, vocabulary: number, device: Device): Tensor {
  const values = new Float32Array(ids.length * vocabulary);
  ids.slice(1).forEach((id, row) => {
    values[row * vocabulary + id] = 1;
  });
  return device.upload(values, [ids.length, vocabulary]);
}
