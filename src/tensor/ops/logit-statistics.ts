import {
  cast,
  equal,
  exp,
  gatherND,
  max,
  mul,
  range,
  softmax,
  stack,
  sub,
  sum,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/**
 * Per row of logits z [n, v]: max z, Σ exp(z − max), the lowest index of the maximum, and z at the row's target ([n], int32)
 * → [n, 4] float32. An index is exact in float32 because v stays below 2^24.
 */
export function logitStatistics(logits: Tensor2D, targets: Tensor1D): Tensor2D {
  return runOperation('birdbone.LogitStatistics', {
    inputs: { logits, targets },
    compose: () => {
      const [rows, columns] = logits.shape;
      const largest = max(logits, 1, true);
      // Not tf.argMax, which on WebGPU returns any one of several equal maxima.
      const fromEnd = mul(cast(equal(logits, largest), 'float32'), range(columns, 0, -1));
      const pairs = stack([range(0, rows, 1, 'int32'), targets], 1);
      return stack(
        [max(logits, 1), sum(exp(sub(logits, largest)), 1), sub(columns, max(fromEnd, 1)), gatherND(logits, pairs)],
        1,
      ) as Tensor2D;
    },
  });
}

/** Per row of two sets of logits [n, v]: the mean of base − now under softmax(base) → [n]. Exactly 0 where they are equal. */
export function logitDivergence(base: Tensor2D, now: Tensor2D): Tensor1D {
  return runOperation('birdbone.LogitDivergence', {
    inputs: { base, now },
    compose: () => sum(mul(softmax(base, -1), sub(base, now)), 1) as Tensor1D,
  });
}
