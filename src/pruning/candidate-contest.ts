import { dispose } from '@tensorflow/tfjs-core';
import type { Candidate, Contest } from '../allocation/index.js';
import { stopIfAborted } from '../errors.js';
import {
  apartAbove,
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  loadBlock,
  type Model,
  runBlock,
  runBlocks,
  type TokenBatch,
  tokensPerBatch,
} from '../model/index.js';
import type { EditContext } from './edit.js';
import { meanDivergences } from './mean-divergences.js';
import { masked, WeightRanks } from './weight-ranks.js';

/** Tokens that candidates are compared on in the last stage of a tournament. */
const CONTEST_TOKENS = 2048;
/** Tokens that go through a block at once: the first stage takes a part of the batches. */
const BATCH_TOKENS = 256;

/**
 * Compares divisions of a sparsity by what pruning by Wanda at them does to the model's predictions: mean KL(dense ‖ pruned) over
 * windows of the calibration text. All candidates go through a block while it is on the device.
 */
export async function openContest(compare: 'row' | 'layer', context: EditContext): Promise<Contest> {
  const dense = context.dense ?? context.model;
  const batches = contestBatches(dense, context);
  const ranks = await WeightRanks.of(compare, context);
  let reference: HiddenStates | undefined;
  try {
    reference = await runBlocks(dense, batches, context);
  } catch (error) {
    await ranks.close();
    throw error;
  }
  const states = reference;
  return {
    tokens: realTokens(batches),
    divergences: (candidates, tokens) => divergences(candidates, { tokens, dense, ranks, reference: states }, context),
    close: async () => {
      await states.close();
      await ranks.close();
    },
  };
}

/** Windows evenly spread over the calibration text, at least `CONTEST_TOKENS` tokens where it has so many. */
export function contestBatches(model: Model, { calibration, device }: EditContext): TokenBatch[] {
  const total = calibration.reduce((sum, { ids }) => sum + ids.length, 0);
  const every = Math.max(1, Math.floor(total / CONTEST_TOKENS));
  const windows = calibration.filter((_, i) => i % every === 0);
  const longest = windows.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const tokens = Math.min(BATCH_TOKENS, tokensPerBatch(model.decoder, longest, device));
  return batchesOf(windows, tokens, apartAbove(model.decoder));
}

interface Round {
  readonly tokens: number;
  readonly dense: Model;
  readonly ranks: WeightRanks;
  /** The dense model's hidden states behind its last block. */
  readonly reference: HiddenStates;
}

async function divergences(
  candidates: readonly Candidate[],
  { tokens, dense, ranks, reference }: Round,
  context: EditContext,
): Promise<readonly number[]> {
  const { model, device, memoryBytes, spillFolder, signal } = context;
  const batches = firstBatches(reference.batches, tokens);
  const all: HiddenStates[] = [];
  try {
    for (const _ of candidates) {
      const room = { memoryBytes: memoryBytes / candidates.length, spillFolder };
      const states = await createHiddenStates(batches, model.decoder.hidden, room);
      all.push(states);
      await embedBatches(model, states);
    }
    for (const { index } of model.decoder.blocks) await runCandidates({ index, candidates, all, ranks }, context);
    const sides = { base: { model: dense, states: reference }, now: { model, states: all } };
    return await meanDivergences(sides, { device, ...(signal && { signal }) });
  } finally {
    for (const states of all) await states.close();
  }
}

async function runCandidates(
  at: {
    readonly index: number;
    readonly candidates: readonly Candidate[];
    readonly all: readonly HiddenStates[];
    readonly ranks: WeightRanks;
  },
  { model, device, signal }: EditContext,
): Promise<void> {
  const block = await loadBlock(model, at.index, device);
  try {
    const ranks = await at.ranks.upload(block, device);
    try {
      for (const [i, candidate] of at.candidates.entries()) {
        stopIfAborted(signal);
        const pruned = masked(block, ranks, (weight) => candidate.get(weight) ?? 0);
        try {
          await runBlock(pruned, at.all[i]!, device, { store: true, ...(signal && { signal }) });
        } finally {
          for (const [name, { weight }] of pruned.linears) if (ranks.has(name)) dispose([...weight.parts]);
        }
      }
    } finally {
      for (const { parts } of ranks.values()) dispose([...parts]);
    }
  } finally {
    disposeBlock(block);
  }
}

/** As many batches as it takes to have so many tokens. */
export function firstBatches(batches: readonly TokenBatch[], tokens: number): readonly TokenBatch[] {
  let count = 0;
  while (count < batches.length && realTokens(batches.slice(0, count)) < tokens) count += 1;
  return batches.slice(0, count);
}

/** Tokens of the batches, without padding. */
export function realTokens(batches: readonly TokenBatch[]): number {
  return batches.reduce((sum, { lengths }) => sum + lengths.reduce((a, b) => a + b, 0), 0);
}
