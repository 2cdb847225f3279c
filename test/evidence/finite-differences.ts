import { negativeLogLikelihood } from '../model/logits.js';
import { type ReferenceModel, type ReferenceTensor, referenceLogits } from '../reference/float64-decoder.js';
import type { TinyModel } from '../reference/tiny-model.js';

/** dL_n/dW of one window by central differences of the float64 decoder, element by element. */
export interface WindowGradients {
  /** Tokens that the window predicts. */
  readonly predictions: number;
  readonly weights: ReadonlyMap<string, Float64Array>;
}

/** In float64 the difference's own error, h² and 1e-16 / h, is below 1e-8 here. */
const STEP = 1e-4;

/** Brute force: 2 forward passes for every element of every weight of `names`, for every window of at least two tokens. */
export function windowGradients(
  tiny: TinyModel,
  names: readonly string[],
  windows: readonly Int32Array[],
): WindowGradients[] {
  const tensors = new Map<string, ReferenceTensor & { values: Float64Array }>();
  for (const [name, { shape, values }] of tiny.tensors) tensors.set(name, { shape, values: Float64Array.from(values) });
  const model: ReferenceModel = { config: tiny.config, tensor: (name) => tensors.get(name) };
  return windows
    .filter((ids) => ids.length > 1)
    .map((ids) => ({
      predictions: ids.length - 1,
      weights: new Map(names.map((name) => [name, differences(model, tensors.get(name)!.values, ids)])),
    }));
}

function differences(model: ReferenceModel, values: Float64Array, ids: Int32Array): Float64Array {
  return values.map((value, i) => {
    const lossAt = (moved: number) => {
      values[i] = moved;
      return meanLoss(model, ids);
    };
    const slope = (lossAt(value + STEP) - lossAt(value - STEP)) / (2 * STEP);
    values[i] = value;
    return slope;
  });
}

/** Mean next-token cross-entropy of one window, nats. */
export function meanLoss(model: ReferenceModel, ids: Int32Array): number {
  const logits = referenceLogits(model, ids);
  let total = 0;
  for (let t = 0; t + 1 < ids.length; t++)
    total += negativeLogLikelihood(logits[t]!, 0, logits[t]!.length, ids[t + 1]!);
  return total / (ids.length - 1);
}

/** dL/dW, L the mean over every prediction of all windows. */
export function meanGradient(windows: readonly WindowGradients[], name: string): Float64Array {
  const total = windows.reduce((sum, { predictions }) => sum + predictions, 0);
  return combine(windows, name, ({ predictions }, value) => (predictions / total) * value);
}

/** (1/N) Σ_n (dL_n/dW)². */
export function meanSquare(windows: readonly WindowGradients[], name: string): Float64Array {
  return combine(windows, name, (_, value) => value ** 2 / windows.length);
}

function combine(
  windows: readonly WindowGradients[],
  name: string,
  term: (window: WindowGradients, value: number) => number,
): Float64Array {
  const sum = new Float64Array(windows[0]!.weights.get(name)!.length);
  for (const window of windows) {
    window.weights.get(name)!.forEach((value, i) => {
      sum[i]! += term(window, value);
    });
  }
  return sum;
}

/** The largest difference, as a fraction of the largest expected value. */
export function relativeError(found: ArrayLike<number>, expected: Float64Array): number {
  if (found.length !== expected.length) throw new RangeError(`${found.length} values beside ${expected.length}`);
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return expected.reduce((worst, value, i) => Math.max(worst, Math.abs(found[i]! - value)), 0) / scale;
}
