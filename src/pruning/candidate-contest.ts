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
import { maskedVariants, type SparsityOf } from './masked-variants.js';
import { meanDivergences } from './mean-divergences.js';
import { WeightRanks } from './weight-ranks.js';

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

/** A block in the form that one candidate gives it, and what of it is not the block's own. */
export interface BlockVariant {
  readonly block: LoadedBlock;
  dispose(): void;
}

/** The forms of a block under each of the candidates, one at a time; closed when all have been seen. */
export interface BlockVariants {
  /** Of each candidate: those with the same key give the block the same form. */
  readonly keys: readonly string[];
  of(candidate: number): Promise<BlockVariant>;
  close(): void;
}

export interface Candidates {
  readonly count: number;
  variants(block: LoadedBlock): Promise<BlockVariants>;
}

export interface Round {
  /** At least so many of the reference's, from its beginning. */
  readonly tokens: number;
  readonly dense: Model;
  /** The dense model's hidden states behind its last block. */
  readonly reference: HiddenStates;
}

/**
 * Mean KL(dense ‖ candidate) in nats of each candidate. All of them go through a block while it is on the device; those that have given
 * every block so far the same form go through it once.
 */
export async function candidateDivergences(
  candidates: Candidates,
  { tokens, dense, reference }: Round,
  context: EditContext,
): Promise<number[]> {
  const { model, device, memoryBytes, spillFolder, signal } = context;
  const batches = firstBatches(reference.batches, tokens);
  const made: HiddenStates[] = [];
  const create = async () => {
    const room = { memoryBytes: memoryBytes / candidates.count, spillFolder };
    const states = await createHiddenStates(batches, model.decoder.hidden, room);
    made.push(states);
    return states;
  };
  try {
    const first = await create();
    await embedBatches(model, first);
    let paths: readonly Path[] = [{ members: Array.from({ length: candidates.count }, (_, i) => i), states: first }];
    for (const { index } of model.decoder.blocks)
      paths = await followPaths(candidates, { index, paths, create }, context);
    const all = paths.map(({ states }) => states);
    const sides = { base: { model: dense, states: reference }, now: { model, states: all } };
    const found = await meanDivergences(sides, { device, ...(signal && { signal }) });
    const divergences = new Array<number>(candidates.count);
    for (const [i, { members }] of paths.entries()) for (const member of members) divergences[member] = found[i]!;
    return divergences;
  } finally {
    for (const states of made) await states.close();
  }
}

/** Candidates that have been the same so far, and what they give. */
interface Path {
  readonly members: readonly number[];
  readonly states: HiddenStates;
}

interface Crossroads {
  readonly index: number;
  readonly paths: readonly Path[];
  create(): Promise<HiddenStates>;
}

/** Sends every path through a block, divided where its candidates give the block different forms. */
async function followPaths(
  candidates: Candidates,
  { index, paths, create }: Crossroads,
  { model, device, signal }: EditContext,
): Promise<Path[]> {
  const block = await loadBlock(model, index, device);
  const found: Path[] = [];
  try {
    const variants = await candidates.variants(block);
    try {
      for (const { members, states } of paths) {
        const parted = partedBy(members, variants.keys);
        for (const [i, alike] of parted.entries()) {
          stopIfAborted(signal);
          // The last of them goes on where the path has come to, the others from a copy of it.
          const own = i === parted.length - 1 ? states : await copied(states, await create());
          const variant = await variants.of(alike[0]!);
          try {
            await runBlock(variant.block, own, device, { store: true, ...(signal && { signal }) });
          } finally {
            variant.dispose();
          }
          found.push({ members: alike, states: own });
        }
      }
    } finally {
      variants.close();
    }
  } finally {
    disposeBlock(block);
  }
  return found;
}

/** The members with the same key together, in the order in which the keys come. */
function partedBy(members: readonly number[], keys: readonly string[]): number[][] {
  const parted = new Map<string, number[]>();
  for (const member of members) {
    const alike = parted.get(keys[member]!);
    if (alike === undefined) parted.set(keys[member]!, [member]);
    else alike.push(member);
  }
  return [...parted.values()];
}

async function copied(from: HiddenStates, to: HiddenStates): Promise<HiddenStates> {
  for (const i of from.batches.keys()) await to.store(i, await from.load(i));
  return to;
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
