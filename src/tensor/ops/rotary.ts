import {
  add,
  concat,
  customGrad,
  engine,
  mul,
  neg,
  slice,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
} from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/**
 * Rotates each head's pairs (i, i + w/2) of its first w dimensions by its position's angle: x [b, heads, t, d], cos and sin [t, w]
 * (the w/2 angles twice), w ≤ d → [b, heads, t, d], of which the last d − w are as they were. The half-split order of Hugging Face
 * checkpoints. Source: Su et al. 2021, "RoFormer". Differentiable by x.
 */
export function rotary(x: Tensor4D, cos: Tensor2D, sin: Tensor2D): Tensor4D {
  return engine().isTapeOn() ? turnWithGradient(x, cos, sin) : turn(x, cos, sin);
}

/** The gradient of a turn is the turn back: one operation, where a tape through the parts would slice and join again. */
function turnWithGradient(x: Tensor4D, cos: Tensor2D, sin: Tensor2D): Tensor4D {
  const operation = customGrad<Tensor4D>((...inputs) => {
    const [input, save] = inputs as unknown as [Tensor4D, (tensors: Tensor[]) => void];
    // They may be gone by the time of the backward pass.
    save([cos, sin]);
    const gradFunc = (upstream: Tensor4D, saved: unknown) => {
      const [cosines, sines] = saved as [Tensor2D, Tensor2D];
      return turn(upstream, cosines, turnedBack(sines));
    };
    return { value: turn(input, cos, sin), gradFunc };
  });
  return operation(x);
}

/** What stands in place of the sines [t, w] to turn back: their negatives, each half in the other's place. */
function turnedBack(sin: Tensor2D): Tensor2D {
  const [t, d] = sin.shape;
  const half = d / 2;
  return neg(concat([slice(sin, [0, half], [t, half]), slice(sin, [0, 0], [t, half])], 1)) as Tensor2D;
}

function turn(x: Tensor4D, cos: Tensor2D, sin: Tensor2D): Tensor4D {
  const [b, heads, t, d] = x.shape;
  const width = cos.shape[1];
  if (width === d) return turnAll(x, cos, sin);
  return runOperation('birdbone.PartialRotary', {
    inputs: { x, cos, sin },
    compose: () => {
      const turned = turnAll(slice(x, [0, 0, 0, 0], [b, heads, t, width]), cos, sin);
      return concat([turned, slice(x, [0, 0, 0, width], [b, heads, t, d - width])], 3);
    },
  });
}

function turnAll(x: Tensor4D, cos: Tensor2D, sin: Tensor2D): Tensor4D {
  return runOperation('birdbone.Rotary', {
    inputs: { x, cos, sin },
    compose: () => {
      const half = x.shape[3] / 2;
      const [b, h, t] = x.shape;
      const first = slice(x, [0, 0, 0, 0], [b, h, t, half]);
      const second = slice(x, [0, 0, 0, half], [b, h, t, half]);
      return add(mul(x, cos), mul(concat([neg(second), first], 3), sin)) as Tensor4D;
    },
  });
}
