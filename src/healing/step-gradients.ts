import { BlockInputs, backwardBlock, type PassContext } from '../evidence/index.js';
import type { Model, TokenBatch } from '../model/index.js';
import { GradientParts } from './gradient-parts.js';
import type { HealedBlocks } from './healed-blocks.js';
import type { HeadPass, HealingHead, StepLoss } from './healing-head.js';

/** One step's loss and the gradients of all that is learnt, by the arrays' names. */
export interface StepGradients extends StepLoss {
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

export interface StepModel {
  readonly student: Model;
  readonly blocks: HealedBlocks;
  readonly head: HealingHead;
}

/**
 * Gradients of the mean loss over a step's batches: forward keeping what goes into each block, the loss behind the head, backward block
 * by block, each recomputed from its input. A block is used twice, whatever the number of batches; where nothing below is learnt the
 * pass ends.
 */
export async function stepGradients(
  { student, blocks, head }: StepModel,
  batches: readonly TokenBatch[],
  pass: Omit<HeadPass, 'inputs' | 'signal'>,
  context: PassContext,
): Promise<StepGradients> {
  const { device, signal } = context;
  const total = student.decoder.blocks.length;
  const inputs = await BlockInputs.of(student, batches, context, blocks.use);
  try {
    const found = await head.startBackward({ ...pass, inputs, signal });
    await inputs.forget(total);
    const gradients = new Map<string, Float32Array>();
    const lowest = student.decoder.blocks.findIndex(({ index }) => blocks.learntIn(index).length > 0);
    for (let index = total - 1; index >= lowest; index -= 1) {
      const learnt = blocks.learntIn(index);
      const wanted = new Set(learnt.map(({ spec }) => spec.weight));
      const sums = new GradientParts();
      try {
        await blocks.use(index, (block) =>
          backwardBlock(block, inputs, { device, wanted, ...(signal && { signal }) }, async (_, weights) =>
            sums.add(weights),
          ),
        );
        for (const each of learnt) {
          const parts = sums.of(each.spec.weight);
          if (parts === undefined) continue;
          for (const [name, values] of await blocks.pullBack(each, parts)) gradients.set(name, values);
        }
      } finally {
        sums.dispose();
      }
      await inputs.forget(index);
    }
    return { ...found, gradients };
  } finally {
    await inputs.close();
  }
}
