import {
  cast,
  equal,
  exp,
  expandDims,
  logSumExp,
  matMul,
  mul,
  range,
  slice,
  square,
  sub,
  type Tensor1D,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import { type Device, type Matrix, softcap } from '../tensor/index.js';

/** Logits made at once, at most; as in the scoring of next tokens. */
const LOGIT_BYTES = 2 ** 25;

/**
 * The mean next-token cross-entropy of some rows and its gradient with respect to what the head multiplies, gathered over
 * sections of the head twice: `addLogits` of every section, then `gradient` of every section. Neither the head nor a row's logits
 * are ever there as a whole.
 */
export class NextTokenLoss {
  readonly #targets: Int32Array;
  readonly #cap: number | undefined;
  /** ln Σ exp z of each row over the sections added so far. */
  readonly #logSums: Float64Array;

  /** `targets` [n]: the token that follows each row; `cap` as `Decoder.finalSoftcap`. */
  constructor(targets: Int32Array, cap?: number) {
    this.#targets = targets;
    this.#cap = cap;
    this.#logSums = new Float64Array(targets.length).fill(Number.NEGATIVE_INFINITY);
  }

  /** First pass: takes in the rows of the head that `section` [v, h] holds; hidden [n, h] is the same each time. */
  async addLogits(hidden: Tensor2D, section: Matrix, device: Device): Promise<void> {
    for (const part of section.parts as Tensor2D[]) {
      for (const rows of this.#rowRanges(part, device)) {
        const sums = tidy(() => logSumExp(logitsOf(rowsOf(hidden, rows), part, this.#cap), 1) as Tensor1D);
        try {
          const found = await device.read(sums);
          found.forEach((sum: number, i: number) => {
            this.#logSums[rows.start + i] = logAddExp(this.#logSums[rows.start + i]!, sum);
          });
        } finally {
          sums.dispose();
        }
      }
    }
  }

  /** Second pass: the section's part of dL/d(hidden) [n, h] on the host; `firstToken` is the vocabulary's row that it starts at. */
  async gradient(hidden: Tensor2D, section: Matrix, firstToken: number, device: Device): Promise<Float32Array> {
    const [count, width] = hidden.shape;
    const total = new Float32Array(count * width);
    let first = firstToken;
    for (const part of section.parts as Tensor2D[]) {
      for (const rows of this.#rowRanges(part, device)) {
        const gradient = tidy(() => this.#partGradient(rowsOf(hidden, rows), part, { first, rows }, device));
        try {
          const found = await device.read(gradient);
          for (let i = 0; i < found.length; i += 1) total[rows.start * width + i]! += found[i]!;
        } finally {
          gradient.dispose();
        }
      }
      first += part.shape[0];
    }
    return total;
  }

  /** (softmax(z) − one-hot(target)) / n through the cap and the head. */
  #partGradient(
    hidden: Tensor2D,
    part: Tensor2D,
    { first, rows }: { readonly first: number; readonly rows: Rows },
    device: Device,
  ): Tensor2D {
    const { start, count } = rows;
    const capped = logitsOf(hidden, part, this.#cap);
    const logSums = device.upload(Float32Array.from(this.#logSums.subarray(start, start + count)), [count, 1]);
    const targets = device.upload(this.#targets.slice(start, start + count), [count]);
    const isTarget = equal(expandDims(targets, 1), range(first, first + part.shape[0], 1, 'int32'));
    const errors = sub(exp(sub(capped, logSums)), cast(isTarget, 'float32'));
    // d cap·tanh(z / cap) / dz = 1 − tanh².
    const slope = this.#cap === undefined ? 1 : sub(1, square(mul(capped, 1 / this.#cap)));
    return mul(matMul(mul(errors, slope) as Tensor2D, part), 1 / this.#targets.length) as Tensor2D;
  }

  #rowRanges(part: Tensor2D, device: Device): Rows[] {
    const rowsAtOnce = Math.max(1, Math.floor(Math.min(device.maxTensorBytes, LOGIT_BYTES) / (4 * part.shape[0])));
    const ranges: Rows[] = [];
    for (let start = 0; start < this.#targets.length; start += rowsAtOnce) {
      ranges.push({ start, count: Math.min(rowsAtOnce, this.#targets.length - start) });
    }
    return ranges;
  }
}

interface Rows {
  readonly start: number;
  readonly count: number;
}

function rowsOf(matrix: Tensor2D, { start, count }: Rows): Tensor2D {
  return slice(matrix, [start, 0], [count, matrix.shape[1]]);
}

function logitsOf(hidden: Tensor2D, part: Tensor2D, cap: number | undefined): Tensor2D {
  const logits = matMul(hidden, part, false, true) as Tensor2D;
  return cap === undefined ? logits : softcap(logits, cap);
}

function logAddExp(a: number, b: number): number {
  return a === Number.NEGATIVE_INFINITY ? b : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}
