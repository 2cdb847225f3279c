import { matMul, slice, type Tensor, type Tensor1D, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import type { Matrix, RowRange } from '../matrix.js';
import { logitDivergence, logitStatistics } from './logit-statistics.js';
import { DivergenceTally, NextTokenTally } from './next-token-tally.js';

export interface NextTokenScores {
  /** ln p(target) of each row. */
  readonly logProbability: Float64Array;
  /** The likeliest token of each row; of equals the lowest. */
  readonly argMax: Int32Array;
}

export interface NextTokenComparison extends NextTokenScores {
  /** KL(base ‖ now) of each row, in nats. */
  readonly divergence: Float64Array;
  readonly baseArgMax: Int32Array;
  /** ln p(target) of each row under the base. */
  readonly baseLogProbability: Float64Array;
}

/** Logits made at once, at most. On a CPU a quarter or four times as much take 15 % longer (4096 rows and tokens, width 256). */
const LOGIT_BYTES = 2 ** 25;

/**
 * How likely a model finds each row's target token: hidden [n, h] (after the final norm), head [V, h], targets [n] below V.
 * Logits are made for some rows and one part of the vocabulary at a time, so that no tensor passes `device.maxTensorBytes`.
 */
export async function scoreNextTokens(
  hidden: Tensor2D,
  head: Matrix,
  targets: Int32Array,
  device: Device,
): Promise<NextTokenScores> {
  expectOnePerRow(targets, [hidden]);
  const tally = new NextTokenTally(targets);
  const vocabulary = partRanges(head);
  for (const rows of rowRanges(targets.length, vocabulary, device)) {
    for (const part of vocabulary) {
      const local = tally.localTargets(rows, part);
      const statistics = tidy(() => statisticsOf(logitsOf(hidden, head, rows, part), local, device));
      tally.add(rows, part, await takeValues(device, statistics));
    }
  }
  return { logProbability: tally.logProbability(), argMax: tally.argMax };
}

/** `scoreNextTokens` of a model, and how far its next-token distributions are from a base model's on the same rows. */
export async function compareNextTokens(
  baseHidden: Tensor2D,
  baseHead: Matrix,
  hidden: Tensor2D,
  head: Matrix,
  targets: Int32Array,
  device: Device,
): Promise<NextTokenComparison> {
  expectOnePerRow(targets, [baseHidden, hidden]);
  const base = new NextTokenTally(targets);
  const now = new NextTokenTally(targets);
  const divergence = new DivergenceTally(base, now, targets.length);
  const vocabulary = commonRanges(partRanges(baseHead), partRanges(head));
  for (const rows of rowRanges(targets.length, vocabulary, device)) {
    for (const part of vocabulary) {
      const local = now.localTargets(rows, part);
      const [baseStatistics, statistics, means] = tidy(() => {
        const baseLogits = logitsOf(baseHidden, baseHead, rows, part);
        const logits = logitsOf(hidden, head, rows, part);
        return [
          statisticsOf(baseLogits, local, device),
          statisticsOf(logits, local, device),
          logitDivergence(baseLogits, logits),
        ] as const;
      });
      const logSumBefore = base.logSum.slice(rows.start, rows.start + rows.count);
      base.add(rows, part, await takeValues(device, baseStatistics));
      now.add(rows, part, await takeValues(device, statistics));
      divergence.add(rows, logSumBefore, await takeValues(device, means));
    }
  }
  return {
    divergence: divergence.divergence(),
    baseArgMax: base.argMax,
    baseLogProbability: base.logProbability(),
    argMax: now.argMax,
    logProbability: now.logProbability(),
  };
}

function expectOnePerRow(targets: Int32Array, matrices: readonly Tensor2D[]): void {
  for (const { shape } of matrices) {
    if (shape[0] !== targets.length) throw new RangeError(`${targets.length} targets for ${shape[0]} rows.`);
  }
}

function statisticsOf(logits: Tensor2D, localTargets: Int32Array, device: Device): Tensor2D {
  return logitStatistics(logits, device.upload(localTargets, [localTargets.length]) as Tensor1D);
}

/** hidden[rows] · head[vocabulary]ᵀ; `vocabulary` lies within one part of the head. */
function logitsOf(hidden: Tensor2D, head: Matrix, rows: RowRange, vocabulary: RowRange): Tensor2D {
  const ranges = partRanges(head);
  const index = ranges.findLastIndex(({ start }) => start <= vocabulary.start);
  const part = head.parts[index]! as Tensor2D;
  const weight = rowsOf(part, { start: vocabulary.start - ranges[index]!.start, count: vocabulary.count });
  return matMul(rowsOf(hidden, rows), weight, false, true);
}

function rowsOf(matrix: Tensor2D, rows: RowRange): Tensor2D {
  return rows.count === matrix.shape[0] ? matrix : slice(matrix, [rows.start, 0], [rows.count, matrix.shape[1]]);
}

async function takeValues(device: Device, tensor: Tensor): Promise<ArrayLike<number>> {
  try {
    return await device.read(tensor);
  } finally {
    tensor.dispose();
  }
}

function partRanges(matrix: Matrix): RowRange[] {
  let start = 0;
  return matrix.parts.map((part) => {
    const range = { start, count: part.shape[0]! };
    start += range.count;
    return range;
  });
}

/** The finest common split of two splits of the same rows. */
function commonRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const ends = [...new Set([...a, ...b].map(({ start, count }) => start + count))].sort((x, y) => x - y);
  return ends.map((end, i) => ({ start: ends[i - 1] ?? 0, count: end - (ends[i - 1] ?? 0) }));
}

function rowRanges(rows: number, vocabulary: readonly RowRange[], device: Device): RowRange[] {
  const widest = Math.max(...vocabulary.map(({ count }) => count));
  const rowsPerRange = Math.max(1, Math.floor(Math.min(device.maxTensorBytes, LOGIT_BYTES) / (4 * widest)));
  const ranges: RowRange[] = [];
  for (let start = 0; start < rows; start += rowsPerRange) {
    ranges.push({ start, count: Math.min(rowsPerRange, rows - start) });
  }
  return ranges;
}
