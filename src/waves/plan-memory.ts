import { availableParallelism } from 'node:os';
import { batchesOf, DEFAULT_MEMORY_BYTES, type Decoder, tokensPerBatch, valuesPerToken } from '../model/index.js';
import type { EditCost } from '../pruning/index.js';
import type { Recipe } from '../recipe.js';
import { type Device, fittingPrefix, RunningSums } from '../tensor/index.js';
import { gradientMemory } from './gradient-memory.js';
import type { Inputs } from './inputs.js';
import { weightsOf } from './sizes.js';

/**
 * What a run holds in memory, in bytes: parts, and what they come to. Nothing of it grows with the number of blocks but what the passes
 * of gradients keep, as far as `--memory` goes.
 */
export interface PlannedMemory {
  readonly block: number;
  /** Of one batch of windows, the largest tensor on its way through a block. */
  readonly batch: number;
  /** Of all windows, wherever they are. */
  readonly hiddenStates: number;
  /** Of them at most on a GPU at a time, where they stay between blocks. */
  readonly resident: number;
  /** Of them at most in files at a time: disk. */
  readonly spilled: number;
  readonly grams: number;
  /** Resident memory of the process at its highest, as the system counts it (docs/memory.md says how near that comes). */
  readonly host: number;
  /** What a GPU holds at its highest; absent where the CPU computes, whose memory is the host's. */
  readonly gpu?: number;
}

/** Where a run's text and its work meet: shapes, texts and costs, without a look at any weight. */
export interface MemoryQuestion {
  readonly inputs: Pick<Inputs, 'model' | 'recipe' | 'calibration' | 'evaluation' | 'gate'>;
  readonly device: Device;
  readonly costs: readonly EditCost[];
  /** Whether no step keeps anything of a matrix's size on the host (`Edit.ranksWithinRows`). */
  readonly ranksWithinRows: boolean;
  /** The user's limit for hidden states in memory. */
  readonly memoryBytes?: number;
}

const MIB = 2 ** 20;

/** Node, the commands' code and the native libraries before a model is opened. */
const PROCESS_BYTES = 138 * MIB;
/** Chunks of files that are being read, hashed, packed or written, and those that are not collected as garbage yet: more on a busy machine. */
const STREAM_BYTES = 80 * MIB;
/** What the CPU device's heap grows by beyond the tensors in it: it grows in steps, and holes come with blocks that come and go. */
const HEAP_SLACK_BYTES = 58 * MIB;
/** A matrix is read, widened and uploaded in pieces of at most this (model/matrix-loading.ts). */
const PIECE_BYTES = 256 * MIB;
/** Scores are made of slices of at most this (pruning/score-matrix.ts): of the weight, its magnitude, and their product. */
const SLICE_BYTES = 32 * MIB;
const SLICES = 3;
/** A thread that rounds rows, beside the strips under way, which go round; there are at most 8 (threads/pool.ts). */
const ROUNDING_THREAD_BYTES = 6 * MIB;
const MOST_THREADS = 8;

export function plannedMemory(question: MemoryQuestion): PlannedMemory {
  const { inputs, device, costs } = question;
  const { decoder } = inputs.model;
  const block = 4 * decoder.blocks.reduce((most, each) => Math.max(most, weightsOf(each)), 0);
  const grams = costs.reduce((most, { gramBytes }) => Math.max(most, gramBytes), 0);
  const text = textMemory(question);
  const work = workOf(inputs.recipe, decoder);
  // Without a text, no block runs: weights come and go slice by slice.
  const resident = text.context === 0 ? 0 : block;
  const backward = gradientMemory(question);
  const tensors = Math.max(resident + Math.max(text.working, work.slices), backward.device);
  // Where tensors lie in the host's memory, weights are widened and rows of scores ranked there: no scores of a whole matrix, and no order of them, is beside it.
  const onHost = device.name === 'cpu';
  const loading = onHost ? largestTransposed(decoder) : Math.min(largestMatrix(decoder), PIECE_BYTES);
  const made = onHost && question.ranksWithinRows ? 0 : work.host + work.slices;
  const hosted = Math.max(loading, made, backward.host) + grams + text.held;
  const host = PROCESS_BYTES + STREAM_BYTES + work.threads + hosted;
  const { batch, states: hiddenStates, resident: onGpu, spilled } = text;
  const parts = { block, batch, hiddenStates, resident: onGpu, spilled, grams };
  if (device.name === 'cpu') return { ...parts, host: host + (tensors === 0 ? 0 : tensors + HEAP_SLACK_BYTES) };
  return { ...parts, host, gpu: tensors + onGpu + sumsOnDevice(question) };
}

/** Kinds of column sums that one pass may ask for together: norms and mean magnitudes. */
const COLUMN_SUMS = 2;

/** What a device that keeps sums over the batches of a pass takes for them: those of Gram matrices, or a few for each column. */
function sumsOnDevice({ inputs, device, costs }: MemoryQuestion): number {
  const room = device.sums?.bytes ?? 0;
  if (room === 0 || inputs.calibration === undefined) return 0;
  const columns = inputs.model.decoder.blocks.map(({ linears }) => {
    const widths = new Map(linears.map(({ input, columns }) => [input, columns]));
    return RunningSums.bytesOf([...widths.values()]);
  });
  const grams = costs.map(({ gramSums: { kept, adding } }) => Math.min(room, kept) + adding);
  return Math.max(COLUMN_SUMS * Math.max(...columns), ...grams);
}

interface TextMemory extends StatesPlaces {
  /** Tokens of the longest passage; 0 where there is no text. */
  readonly context: number;
  readonly batch: number;
  /** Intermediates of one batch that are alive together. */
  readonly working: number;
  readonly states: number;
}

/** Bytes of hidden states on a GPU, in the host's memory and in files. */
interface StatesPlaces {
  readonly resident: number;
  readonly held: number;
  readonly spilled: number;
}

function textMemory({ inputs, device, memoryBytes = DEFAULT_MEMORY_BYTES }: MemoryQuestion): TextMemory {
  const { decoder } = inputs.model;
  const texts = [inputs.calibration?.passages ?? [], inputs.evaluation?.passages ?? []];
  const context = texts.flat().reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
  if (context === 0) return { context, batch: 0, working: 0, states: 0, resident: 0, held: 0, spilled: 0 };
  const perBatch = tokensPerBatch(decoder, context, device);
  const batches = texts.map((passages) => {
    return batchesOf(passages, perBatch).map(({ rows, columns }) => 4 * decoder.hidden * rows * columns);
  });
  // While the gate measures, the dense model's states lie beside the candidate's, each with its share of the room.
  const sides = inputs.recipe.monitor === 'full' || inputs.gate.needsBaseLogits ? 2 : 1;
  const resident = device.resident?.bytes ?? 0;
  const rooms = batches.map((sizes, text) => placesOf(sizes, text === 0 ? 1 : sides, { memoryBytes, resident }));
  const widest = Math.max(...batches.flat()) / (4 * decoder.hidden);
  return {
    context,
    batch: 4 * perBatch * valuesPerToken(decoder, context),
    working: 4 * widest * liveValues(decoder, context),
    states: Math.max(...batches.map(sum)),
    resident: Math.max(...rooms.map((room) => room.resident)),
    held: Math.max(...rooms.map(({ held }) => held)),
    spilled: Math.max(...rooms.map(({ spilled }) => spilled)),
  };
}

/**
 * Where the states of batches of these sizes are, for so many models that share the rooms, as `createHiddenStates` puts them: the first
 * that fit on the GPU, one model after the other; the rest of each in memory if all of it fits, else in files.
 */
function placesOf(
  batches: readonly number[],
  sides: number,
  room: { readonly memoryBytes: number; readonly resident: number },
): StatesPlaces {
  let [resident, held, spilled] = [0, 0, 0];
  for (let side = 0; side < sides; side += 1) {
    const count = fittingPrefix(batches, room.resident - resident);
    const rest = sum(batches.slice(count));
    const fits = rest <= room.memoryBytes / sides;
    resident += sum(batches.slice(0, count));
    // What is not kept in memory passes through it batch by batch.
    held += (fits ? rest : 0) + (fits && count === 0 ? 0 : Math.max(...batches));
    spilled += fits ? 0 : rest;
  }
  return { resident, held, spilled };
}

/**
 * Values of one token that are alive together at the fullest moment of a block: the residual stream, its norm, queries, keys, values and
 * two tables of scores; or the stream, its norm and the four products of a gated FFN.
 */
function liveValues({ hidden, heads, kvHeads, headDim, ffn }: Decoder, context: number): number {
  const attention = 3 * hidden + 2 * (heads + 2 * kvHeads) * headDim + 2 * heads * context;
  return Math.max(attention, 3 * hidden + 4 * ffn);
}

interface Work {
  /** Of slices that matrices are scored in, on the device; about as much comes back to the host. */
  readonly slices: number;
  /** On the host, made of one matrix at a time. */
  readonly host: number;
  /** Of threads, which keep what they have had. */
  readonly threads: number;
}

/** What the steps' own work takes beside a block and its text. */
function workOf({ steps }: Recipe, decoder: Decoder): Work {
  const matrix = largestMatrix(decoder);
  const works = steps.map((step): Work => {
    switch (step.do) {
      case 'prune':
        // The scores, and integers in their order (sparsity/scores.ts).
        return { slices: SLICES * Math.min(matrix, SLICE_BYTES), host: 2 * matrix, threads: 0 };
      case 'quantize': {
        const threads = Math.min(MOST_THREADS, availableParallelism()) * ROUNDING_THREAD_BYTES;
        // Weights, codes and what they stand for, of algorithms that take a matrix whole.
        return { slices: 0, host: (step.algorithm ?? 'rtn') === 'rtn' ? 0 : 3 * matrix, threads };
      }
      default:
        return { slices: 0, host: 3 * matrix, threads: 0 };
    }
  });
  return {
    slices: Math.max(...works.map(({ slices }) => slices)),
    host: Math.max(...works.map(({ host }) => host)),
    threads: Math.max(...works.map(({ threads }) => threads)),
  };
}

/** Float32 bytes of the largest linear. */
function largestMatrix({ blocks }: Decoder): number {
  return largestOf(blocks.flatMap(({ linears }) => linears));
}

/** Float32 bytes of the largest linear that is stored transposed: it is turned on the host as a whole (model/matrix-loading.ts). */
function largestTransposed({ blocks }: Decoder): number {
  return largestOf(blocks.flatMap(({ linears }) => linears.filter(({ layout }) => layout === 'in-out')));
}

function largestOf(linears: readonly { readonly rows: number; readonly columns: number }[]): number {
  return 4 * linears.reduce((most, { rows, columns }) => Math.max(most, rows * columns), 0);
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
