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
  type LoadedBlock,
  loadBlock,
  type Model,
  runBlock,
  runBlocks,
  type TokenBatch,
  tokensPerBatch,
} from '../model/index.js';
import type { EditContext } from './edit.js';
import { meanDivergences } from './mean-divergences.js';
import { masked, type Sparsities, WeightRanks } from './weight-ranks.js';

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
    divergences: (candidates, tokens) =>
      candidateDivergences(
        { count: candidates.length, variants: maskedVariants(ranks, candidates.map(byMatrix), context) },
        { tokens, dense, reference: states },
        context,
      ),
    close: async () => {
      await states.close();
      await ranks.close();
    },
  };
}

/** Windows evenly spread over the calibration text, at least `least` tokens where it has so many. */
export function contestBatches(
  model: Model,
  { calibration, device }: Pick<EditContext, 'calibration' | 'device'>,
  least = CONTEST_TOKENS,
): TokenBatch[] {
  const total = calibration.reduce((sum, { ids }) => sum + ids.length, 0);
  const every = Math.max(1, Math.floor(total / least));
  const windows = calibration.filter((_, i) => i % every === 0);
  const longest = windows.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const tokens = Math.min(BATCH_TOKENS, tokensPerBatch(model.decoder, longest, device));
  return batchesOf(windows, tokens, apartAbove(model.decoder));
}

function byMatrix(candidate: Candidate): SparsityOf {
  return (weight) => candidate.get(weight) ?? 0;
}

/** How sparse a candidate makes each of the ranked matrices. */
export type SparsityOf = (weight: string) => Sparsities;

/** A block in the form that one candidate gives it, and what of it is not the block's own. */
export interface BlockVariant {
  readonly block: LoadedBlock;
  dispose(): void;
}

/** The forms of a block under each of the candidates, one at a time; closed when all have been seen. */
export interface BlockVariants {
  of(candidate: number): Promise<BlockVariant>;
  close(): void;
}

export interface Candidates {
  readonly count: number;
  variants(block: LoadedBlock): Promise<BlockVariants>;
}

/** Candidates that say how sparse each ranked matrix is. */
export function maskedVariants(
  weightRanks: WeightRanks,
  sparsities: readonly SparsityOf[],
  { device }: Pick<EditContext, 'device'>,
): Candidates['variants'] {
  return async (block) => {
    const ranks = await weightRanks.upload(block, device);
    return {
      of: async (candidate) => {
        const pruned = masked(block, { ranks, device }, sparsities[candidate]!);
        const own = [...pruned.linears].flatMap(([name, { weight }]) => (ranks.has(name) ? weight.parts : []));
        return { block: pruned, dispose: () => dispose(own) };
      },
      close: () => {
        for (const { parts } of ranks.values()) dispose([...parts]);
      },
    };
  };
}

export interface Round {
  /** At least so many of the reference's, from its beginning. */
  readonly tokens: number;
  readonly dense: Model;
  /** The dense model's hidden states behind its last block. */
  readonly reference: HiddenStates;
}

/** Mean KL(dense ‖ candidate) in nats of each candidate. All of them go through a block while it is on the device. */
export async function candidateDivergences(
  candidates: Candidates,
  { tokens, dense, reference }: Round,
  context: EditContext,
): Promise<number[]> {
  const { model, device, memoryBytes, spillFolder, signal } = context;
  const batches = firstBatches(reference.batches, tokens);
  const all: HiddenStates[] = [];
  try {
    for (let candidate = 0; candidate < candidates.count; candidate += 1) {
      const room = { memoryBytes: memoryBytes / candidates.count, spillFolder };
      const states = await createHiddenStates(batches, model.decoder.hidden, room);
      all.push(states);
      await embedBatches(model, states);
    }
    for (const { index } of model.decoder.blocks) await runCandidates(candidates, { index, all }, context);
    const sides = { base: { model: dense, states: reference }, now: { model, states: all } };
    return await meanDivergences(sides, { device, ...(signal && { signal }) });
  } finally {
    for (const states of all) await states.close();
  }
}

async function runCandidates(
  candidates: Candidates,
  { index, all }: { readonly index: number; readonly all: readonly HiddenStates[] },
  { model, device, signal }: EditContext,
): Promise<void> {
  const block = await loadBlock(model, index, device);
  try {
    const variants = await candidates.variants(block);
    try {
      for (const [candidate, states] of all.entries()) {
        stopIfAborted(signal);
        const variant = await variants.of(candidate);
        try {
          await runBlock(variant.block, states, device, { store: true, ...(signal && { signal }) });
        } finally {
          variant.dispose();
        }
      }
    } finally {
      variants.close();
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
