import {
  add,
  cast,
  equal,
  expandDims,
  matMul,
  mul,
  range,
  slice,
  softmax,
  square,
  sub,
  type Tensor1D,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import { type Device, linear, logitDivergence, logitStatistics, type Matrix, softcap } from '../tensor/index.js';

/** Logits made at once, at most; as in the scoring of next tokens. */
const LOGIT_BYTES = 2 ** 25;
/** The same on a CPU: what is gone through ten times is to stay in a core's cache. */
const CACHED_LOGIT_BYTES = 2 ** 21;
/** Fewer rows than these, and a product goes through the head's numbers for little. */
const LEAST_ROWS = 64;

/** Normed hidden states and what they are multiplied by to give logits. */
export interface Predicting {
  /** [n, hidden] */
  readonly normed: Tensor2D;
  /** [vocabulary, hidden] */
  readonly head: Matrix;
  /** As `Decoder.finalSoftcap`. */
  readonly cap: number | undefined;
}

/** Sums over rows, in nats. */
export interface LossSums {
  /** Σ −ln p(target) */
  readonly crossEntropy: number;
  /** Σ KL(teacher ‖ student); 0 without a teacher. */
  readonly divergence: number;
}

export interface DistillationLoss extends LossSums {
  /** Of Σ (share · KL + (1 − share) · cross-entropy) with respect to the student's normed states, [n, hidden]. */
  readonly gradient: Float32Array;
}

/**
 * The loss of n predictions and its gradient: p − (share · p_teacher + (1 − share) · one-hot(target)) through the student's head. A few
 * rows at a time over the whole vocabulary, so that each product is made once and few logits are there.
 * Source: Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", at temperature 1.
 */
export async function distillationLoss(
  student: Predicting,
  teacher: Predicting | undefined,
  { targets, share }: { readonly targets: Int32Array; readonly share: number },
  device: Device,
): Promise<DistillationLoss> {
  const [n, width] = student.normed.shape;
  const gradient = new Float32Array(n * width);
  let [crossEntropy, divergence] = [0, 0];
  const bytes = device.name === 'cpu' ? CACHED_LOGIT_BYTES : Math.min(device.maxTensorBytes, LOGIT_BYTES);
  const rowsAtOnce = Math.max(LEAST_ROWS, Math.floor(bytes / (4 * student.head.rows)));
  for (let start = 0; start < n; start += rowsAtOnce) {
    const rows = { start, count: Math.min(rowsAtOnce, n - start) };
    const made = tidy(() => {
      const logits = logitsOf(student, rows);
      const dense = teacher && logitsOf(teacher, rows);
      const wanted = device.upload(targets.subarray(rows.start, rows.start + rows.count), [rows.count]) as Tensor1D;
      return {
        gradient: gradientOf({ ...student, logits, dense, wanted }, share),
        student: logitStatistics(logits, wanted),
        ...(dense && { teacher: logitStatistics(dense, wanted), shift: logitDivergence(dense, logits) }),
      };
    });
    try {
      gradient.set((await device.read(made.gradient)) as Float32Array, start * width);
      const own = logSumsOf(await device.read(made.student));
      crossEntropy += sumOf(own, ({ logSum, target }) => logSum - target);
      if (made.teacher === undefined || made.shift === undefined) continue;
      const theirs = logSumsOf(await device.read(made.teacher));
      // KL = Σ p_t (z_t − z) − ln Σ exp z_t + ln Σ exp z.
      const shifts = (await device.read(made.shift)) as Float32Array;
      divergence += shifts.reduce((sum, value) => sum + value, 0);
      divergence += sumOf(own, ({ logSum }, i) => logSum - theirs[i]!.logSum);
    } finally {
      for (const tensor of Object.values(made)) tensor?.dispose();
    }
  }
  return { gradient, crossEntropy, divergence };
}

interface Rows {
  readonly start: number;
  readonly count: number;
}

function logitsOf({ normed, head, cap }: Predicting, { start, count }: Rows): Tensor2D {
  const logits = linear(slice(normed, [start, 0], [count, normed.shape[1]]), head);
  return cap === undefined ? logits : softcap(logits, cap);
}

interface RowLogits extends Pick<Predicting, 'head' | 'cap'> {
  readonly logits: Tensor2D;
  readonly dense: Tensor2D | undefined;
  readonly wanted: Tensor1D;
}

function gradientOf({ head, cap, logits, dense, wanted }: RowLogits, share: number): Tensor2D {
  return tidy(() => {
    let errors = softmax(logits, -1) as Tensor2D;
    if (dense !== undefined && share > 0) errors = sub(errors, mul(softmax(dense, -1), share)) as Tensor2D;
    if (share < 1) {
      // Not tf.oneHot, which on WASM writes integers whatever type it is asked for.
      const isTarget = equal(expandDims(wanted, 1), range(0, head.rows, 1, 'int32'));
      errors = sub(errors, mul(cast(isTarget, 'float32'), 1 - share)) as Tensor2D;
    }
    // d cap·tanh(z / cap) / dz = 1 − tanh².
    if (cap !== undefined) errors = mul(errors, sub(1, square(mul(logits, 1 / cap)))) as Tensor2D;
    let first = 0;
    const parts = head.parts.map((part) => {
      const count = part.shape[0]!;
      const columns = head.parts.length === 1 ? errors : slice(errors, [0, first], [errors.shape[0], count]);
      first += count;
      return matMul(columns, part as Tensor2D) as Tensor2D;
    });
    return parts.reduce((sum, part) => add(sum, part) as Tensor2D);
  });
}

/** Of each row of `logitStatistics`: ln Σ exp z, and z at the target. */
function logSumsOf(statistics: Float32Array | Int32Array): { logSum: number; target: number }[] {
  return Array.from({ length: statistics.length / 4 }, (_, i) => ({
    logSum: statistics[4 * i]! + Math.log(statistics[4 * i + 1]!),
    target: statistics[4 * i + 3]!,
  }));
}

function sumOf<Row>(rows: readonly Row[], value: (row: Row, i: number) => number): number {
  return rows.reduce((sum, row, i) => sum + value(row, i), 0);
}
