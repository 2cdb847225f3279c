import { MEMORY_SHARES } from '../healing/index.js';
import { batchesOf, DEFAULT_MEMORY_BYTES, type Decoder, tokensPerBatch } from '../model/index.js';
import type { GradientCost } from '../pruning/index.js';
import type { MemoryQuestion } from './plan-memory.js';
import { prunableOf, weightsOf } from './sizes.js';

/** What a pass backwards holds at its fullest, in bytes: everything on the device, and beside it on the host. */
export interface BackwardMemory {
  readonly device: number;
  readonly host: number;
}

/** A block's weights, their gradients, and once more as much while these are made. */
const COPIES_OF_BLOCK = 3;
/** The student's and the teacher's. */
const HEADS = 2;

/** The most that any step's gradients take; 0 where no step looks at gradients, or there is no text. */
export function gradientMemory(question: MemoryQuestion): BackwardMemory {
  const found = question.costs.flatMap(({ gradients }) =>
    gradients === undefined ? [] : [memoryOf(gradients, question)],
  );
  return {
    device: Math.max(0, ...found.map(({ device }) => device)),
    host: Math.max(0, ...found.map(({ host }) => host)),
  };
}

function memoryOf({ windows, kinds, training }: GradientCost, question: MemoryQuestion): BackwardMemory {
  const { inputs, device, memoryBytes = DEFAULT_MEMORY_BYTES } = question;
  const { decoder } = inputs.model;
  const passages = inputs.calibration?.passages ?? [];
  const longest = passages.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  if (longest === 0) return { device: 0, host: 0 };
  const forward = tokensPerBatch(decoder, longest, device);
  const most = windows === undefined ? forward : Math.min(forward, windows * longest);
  const tokens = batchesOf(passages, most).reduce((widest, { rows, columns }) => Math.max(widest, rows * columns), 0);
  const block = largestBlock(decoder);
  const weights = 4 * prunableOf(decoder);
  const tape = tapeBytes(decoder, tokens);
  // What goes into each block, and the gradients of what comes out of it.
  const states = (decoder.blocks.length + 2) * 4 * decoder.hidden;
  if (training === undefined) {
    const all = passages.reduce((sum, { ids }) => sum + ids.length, 0);
    // Blocks' inputs are let go of as their gradients come.
    const kept = Math.max(within(memoryBytes, all * states), within(memoryBytes, kinds * weights));
    return { device: tape, host: kept + kinds * block };
  }
  const heads = HEADS * 4 * decoder.hidden * decoder.vocabulary;
  const resident = Math.max(0, Math.min(MEMORY_SHARES.blocks * memoryBytes, weights) - block);
  const step = Math.max(tokens, (windows ?? 1) * longest) * states;
  const teacher = passages.reduce((sum, { ids }) => sum + ids.length, 0) * 4 * decoder.hidden;
  const kept = within(MEMORY_SHARES.step * memoryBytes, step) + within(MEMORY_SHARES.teacher * memoryBytes, teacher);
  return {
    device: tape + resident + heads,
    host: training.learntBytes + kept,
  };
}

/** What does not fit is in a file. */
function within(room: number, bytes: number): number {
  return bytes <= room ? bytes : 0;
}

/** Float32 bytes of the largest block's weights. */
function largestBlock({ blocks }: Decoder): number {
  return 4 * blocks.reduce((largest, each) => Math.max(largest, weightsOf(each)), 0);
}

/**
 * What is on the device when a block is run on a tape and so many tokens go back through it together: the block, and of each token most
 * products of the forward pass and the gradients under way. Fitted to what blocks of twelve shapes took on the CPU (`bench/tapes.ts`).
 */
export function tapeBytes(decoder: Decoder, tokens: number): number {
  const { hidden, heads, kvHeads, headDim, ffn } = decoder;
  const values = 43 * hidden + 14.5 * heads * headDim + 15.5 * kvHeads * headDim + 12.5 * ffn;
  return COPIES_OF_BLOCK * largestBlock(decoder) + 4 * tokens * values;
}
