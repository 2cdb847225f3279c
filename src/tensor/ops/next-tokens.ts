import { slice, type Tensor, type Tensor1D, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import type { Matrix, RowRange } from '../matrix.js';
import { timesRows } from './linear.js';
import { logitDivergence, logitStatistics } from './logit-statistics.js';
import { DivergenceTally, NextTokenTally } from './next-token-tally.js';
import { softcap } from './softcap.js';

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
 * How likely a model finds each row's target token, gathered over sections of the head: the head as a whole need never be on
 * the device. Sections that are split into the same parts give the same bits, however many parts a section holds.
 */
export class NextTokenScorer {
  readonly #targets: Int32Array;
  readonly #tally: NextTokenTally;
  #firstToken = 0;

  /** `targets` [n], each below the size of the vocabulary. */
  constructor(targets: Int32Array) {
    this.#targets = targets;
    this.#tally = new NextTokenTally(targets);
  }

  /**
   * Takes in the next rows of the head, [v, h]; hidden [n, h] are the same rows each time. Logits are
   * made for some rows and one part of the section at a time, so that no tensor passes `device.maxTensorBytes`.
   */
  async add(side: HiddenAndHead, device: Device): Promise<void> {
    const { hidden, head: section } = side;
    expectOnePerRow(this.#targets, [hidden]);
    for (const part of partRanges(section)) {
      const tokens = { start: this.#firstToken + part.start, count: part.count };
      for (const rows of rowRanges(this.#targets.length, part, device)) {
        const local = this.#tally.localTargets(rows, tokens);
        const statistics = tidy(() => statisticsOf(logitsOf(side, rows, part), local, device));
        this.#tally.add(rows, tokens, await takeValues(device, statistics));
      }
    }
    this.#firstToken += section.rows;
  }

  /** After the last section. */
  scores(): NextTokenScores {
    return { logProbability: this.#tally.logProbability(), argMax: this.#tally.argMax };
  }
}

/** `NextTokenScorer` of a model, and how far its next-token distributions are from a base model's on the same rows. */
export class NextTokenComparer {
  readonly #targets: Int32Array;
  readonly #base: NextTokenTally;
  readonly #now: NextTokenTally;
  readonly #divergence: DivergenceTally;
  #firstToken = 0;

  constructor(targets: Int32Array) {
    this.#targets = targets;
    this.#base = new NextTokenTally(targets);
    this.#now = new NextTokenTally(targets);
    this.#divergence = new DivergenceTally(this.#base, this.#now, targets.length);
  }

  /** As `NextTokenScorer.add`, with the same rows of the vocabulary from both heads; widths and parts may differ. */
  async add(base: HiddenAndHead, now: HiddenAndHead, device: Device): Promise<void> {
    expectOnePerRow(this.#targets, [base.hidden, now.hidden]);
    if (base.head.rows !== now.head.rows) throw new RangeError(`${base.head.rows} tokens beside ${now.head.rows}.`);
    for (const part of commonRanges(partRanges(base.head), partRanges(now.head))) {
      for (const rows of rowRanges(this.#targets.length, part, device)) {
        await this.#addPart(base, now, { rows, part }, device);
      }
    }
    this.#firstToken += now.head.rows;
  }

  async #addPart(
    base: HiddenAndHead,
    now: HiddenAndHead,
    { rows, part }: { readonly rows: RowRange; readonly part: RowRange },
    device: Device,
  ): Promise<void> {
    const tokens = { start: this.#firstToken + part.start, count: part.count };
    const local = this.#now.localTargets(rows, tokens);
    const [baseStatistics, statistics, means] = tidy(() => {
      const baseLogits = logitsOf(base, rows, part);
      const logits = logitsOf(now, rows, part);
      return [
        statisticsOf(baseLogits, local, device),
        statisticsOf(logits, local, device),
        logitDivergence(baseLogits, logits),
      ] as const;
    });
    const logSumBefore = this.#base.logSum.slice(rows.start, rows.start + rows.count);
    this.#base.add(rows, tokens, await takeValues(device, baseStatistics));
    this.#now.add(rows, tokens, await takeValues(device, statistics));
    this.#divergence.add(rows, logSumBefore, await takeValues(device, means));
  }

  /** After the last section. */
  comparison(): NextTokenComparison {
    return {
      divergence: this.#divergence.divergence(),
      baseArgMax: this.#base.argMax,
      baseLogProbability: this.#base.logProbability(),
      argMax: this.#now.argMax,
      logProbability: this.#now.logProbability(),
    };
  }
}

/** Rows [n, h] after a model's final norm, and rows [v, h] of its head. */
export interface HiddenAndHead {
  readonly hidden: Tensor2D;
  readonly head: Matrix;
  /** Logits l become cap · tanh(l / cap). */
  readonly softcap?: number | undefined;
}

/** `NextTokenScorer` with the whole head [V, h] at once. */
export async function scoreNextTokens(
  hidden: Tensor2D,
  head: Matrix,
  targets: Int32Array,
  device: Device,
): Promise<NextTokenScores> {
  const scorer = new NextTokenScorer(targets);
  await scorer.add({ hidden, head }, device);
  return scorer.scores();
}

/** `NextTokenComparer` with both whole heads at once. */
export async function compareNextTokens(
  baseHidden: Tensor2D,
  baseHead: Matrix,
  hidden: Tensor2D,
  head: Matrix,
  targets: Int32Array,
  device: Device,
): Promise<NextTokenComparison> {
  const comparer = new NextTokenComparer(targets);
  await comparer.add({ hidden: baseHidden, head: baseHead }, { hidden, head }, device);
  return comparer.comparison();
}

function expectOnePerRow(targets: Int32Array, matrices: readonly Tensor2D[]): void {
  for (const { shape } of matrices) {
    if (shape[0] !== targets.length) throw new RangeError(`${targets.length} targets for ${shape[0]} rows.`);
  }
}

function statisticsOf(logits: Tensor2D, localTargets: Int32Array, device: Device): Tensor2D {
  return logitStatistics(logits, device.upload(localTargets, [localTargets.length]) as Tensor1D);
}

/** hidden[rows] · head[vocabulary]ᵀ, capped where the model caps them; `vocabulary` lies within one part of the head. */
function logitsOf({ hidden, head, softcap: cap }: HiddenAndHead, rows: RowRange, vocabulary: RowRange): Tensor2D {
  const ranges = partRanges(head);
  const index = ranges.findLastIndex(({ start }) => start <= vocabulary.start);
  const part = head.parts[index]! as Tensor2D;
  const weight = rowsOf(part, { start: vocabulary.start - ranges[index]!.start, count: vocabulary.count });
  const logits = timesRows(rowsOf(hidden, rows), weight, head);
  return cap === undefined ? logits : softcap(logits, cap);
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

/** Rows whose logits over so many tokens are made at once, at most. */
export function rowsOfLogits(tokens: number, device: Pick<Device, 'maxTensorBytes'>): number {
  return Math.max(1, Math.floor(Math.min(device.maxTensorBytes, LOGIT_BYTES) / (4 * tokens)));
}

function rowRanges(rows: number, part: RowRange, device: Device): RowRange[] {
  const rowsPerRange = rowsOfLogits(part.count, device);
  const ranges: RowRange[] = [];
  for (let start = 0; start < rows; start += rowsPerRange) {
    ranges.push({ start, count: Math.min(rowsPerRange, rows - start) });
  }
  return ranges;
}
