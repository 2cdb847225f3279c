import type { Tensor2D } from '@tensorflow/tfjs-core';
import { normed } from './attention.js';
import type { Observe } from './block.js';
import { mixDense, mixRouted } from './experts.js';
import { innerOf } from './ffn-inner.js';
import type { LoadedBlock } from './loaded-block.js';
import { project } from './projections.js';
import type { Route } from './routes.js';

/**
 * x [n, hidden] → what the FFN adds to it, [n, hidden]. In a block with experts `routes` says which tokens go through which;
 * without them every token goes through every expert, and there is nothing to observe of an expert's own tokens.
 */
export function feedForward(block: LoadedBlock, x: Tensor2D, observe?: Observe, routes?: readonly Route[]): Tensor2D {
  const input = normed(block, 'ffn-norm', x);
  observe?.('ffn-norm', input);
  const made = block.spec.experts ? throughExperts(block, input, observe, routes) : throughOne(block, input, observe);
  return normed(block, 'post-ffn-norm', made);
}

function throughOne(block: LoadedBlock, input: Tensor2D, observe?: Observe): Tensor2D {
  const inner = innerOf(block, input);
  observe?.('ffn-inner', inner);
  return project(block, 'down', inner);
}

function throughExperts(block: LoadedBlock, input: Tensor2D, observe?: Observe, routes?: readonly Route[]): Tensor2D {
  if (routes !== undefined) return mixRouted(block, input, routes, observe);
  if (observe !== undefined) throw new RangeError('the inputs of experts are observed along their routes alone');
  return mixDense(block, input);
}
