import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import {
  applyNorm,
  disposeNorm,
  type HeadSection,
  headSections,
  loadFinalNorm,
  loadHead,
  type Model,
  type Norm,
} from '../model/index.js';
import { disposeMatrix, type Matrix } from '../tensor/index.js';
import type { BlockInputs, PassContext } from './block-inputs.js';
import { NextTokenLoss } from './next-token-loss.js';
import { type Predictions, predictionsOf, rowsAt, scattered } from './predictions.js';
import { vectorJacobian } from './vector-jacobian.js';

/** What is known of the head's part of the backward pass. */
interface HeadPass {
  readonly model: Model;
  readonly inputs: BlockInputs;
  readonly norm: Norm;
  readonly batches: readonly (Predictions & { readonly loss: NextTokenLoss })[];
  readonly context: PassContext;
}

/**
 * Fills `inputs.gradients` with dL/d(hidden) behind the last block, L the mean next-token cross-entropy within each batch: 0 at
 * padding and at each window's last token, which predict nothing. Sections of the head are on the device, not the whole.
 */
export async function startBackward(model: Model, inputs: BlockInputs, context: PassContext): Promise<void> {
  const norm = await loadFinalNorm(model, context.device);
  try {
    const { blocks, finalSoftcap } = model.decoder;
    const batches = inputs.before(blocks.length).batches.map((batch) => {
      const predictions = predictionsOf(batch);
      return { ...predictions, loss: new NextTokenLoss(predictions.targets, finalSoftcap) };
    });
    const pass: HeadPass = { model, inputs, norm, batches, context };
    await overSections(pass, (i, normed, { head }) => batches[i]!.loss.addLogits(normed, head, context.device));
    await overSections(pass, (i, normed, section) => addGradient(pass, i, normed, section));
    for (const i of batches.keys()) await throughNorm(pass, i);
  } finally {
    disposeNorm(norm);
  }
}

interface LoadedSection extends HeadSection {
  readonly head: Matrix;
}

/** Calls `use` with what each section of the head multiplies for each batch. */
async function overSections(
  pass: HeadPass,
  use: (i: number, normed: Tensor2D, section: LoadedSection) => Promise<void>,
): Promise<void> {
  const { model, context, norm, batches } = pass;
  for (const section of headSections([model], context.device)) {
    const head = await loadHead(model, context.device, section);
    try {
      for (const i of batches.keys()) {
        stopIfAborted(context.signal);
        const hidden = await hiddenAt(pass, i);
        const normed = applyNorm(norm, hidden);
        hidden.dispose();
        try {
          await use(i, normed, { ...section, head });
        } finally {
          normed.dispose();
        }
      }
    } finally {
      disposeMatrix(head);
    }
  }
}

/** Adds one section's share to what the sections before it left in the batch's gradients. */
async function addGradient(
  { inputs: { gradients }, batches, model, context }: HeadPass,
  i: number,
  normed: Tensor2D,
  { head, start }: LoadedSection,
): Promise<void> {
  const { loss, positions } = batches[i]!;
  const found = await loss.gradient(normed, head, start, context.device);
  if (start > 0) {
    const before = rowsAt(await gradients.load(i), positions, model.decoder.hidden);
    for (let k = 0; k < found.length; k += 1) found[k]! += before[k]!;
  }
  await store({ inputs: { gradients }, batches, model }, i, found);
}

/** Turns the gradient behind the final norm into that before it. */
async function throughNorm(pass: HeadPass, i: number): Promise<void> {
  const { inputs, model, norm, batches, context } = pass;
  stopIfAborted(context.signal);
  const { hidden: width } = model.decoder;
  const { positions } = batches[i]!;
  const rows = rowsAt(await inputs.gradients.load(i), positions, width);
  const upstream = context.device.upload(rows, [positions.length, width]);
  const hidden = await hiddenAt(pass, i);
  let gradient: Tensor | undefined;
  try {
    [gradient] = vectorJacobian(() => applyNorm(norm, hidden), [hidden], upstream);
    await store(pass, i, (await context.device.read(gradient!)) as Float32Array);
  } finally {
    for (const tensor of [upstream, hidden, gradient]) tensor?.dispose();
  }
}

/** The hidden states behind the last block at the positions that predict something, [n, hidden]. */
async function hiddenAt({ inputs, model, batches, context }: HeadPass, i: number): Promise<Tensor2D> {
  const { blocks, hidden: width } = model.decoder;
  const { positions } = batches[i]!;
  const rows = rowsAt(await inputs.before(blocks.length).load(i), positions, width);
  return context.device.upload(rows, [positions.length, width]) as Tensor2D;
}

async function store(
  {
    inputs: { gradients },
    model,
    batches,
  }: Pick<HeadPass, 'model' | 'batches'> & { inputs: Pick<BlockInputs, 'gradients'> },
  i: number,
  rows: Float32Array,
): Promise<void> {
  const { ids } = gradients.batches[i]!;
  await gradients.store(i, scattered(rows, batches[i]!.positions, ids.length, model.decoder.hidden));
}
