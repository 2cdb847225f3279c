import type { Tensor2D } from '@tensorflow/tfjs-core';
import { activate, activateGated } from '../tensor/index.js';
import { normed } from './attention.js';
import type { Observe } from './block.js';
import { type LoadedBlock, linearOf } from './loaded-block.js';
import { project, projectAll } from './projections.js';

/** x [n, hidden] → what the FFN adds to it, [n, hidden]. */
export function feedForward(block: LoadedBlock, x: Tensor2D, observe?: Observe): Tensor2D {
  const input = normed(block, 'ffn-norm', x);
  observe?.('ffn-norm', input);
  const inner = innerOf(block, input);
  observe?.('ffn-inner', inner);
  return normed(block, 'post-ffn-norm', project(block, 'down', inner));
}

/** What goes into `down`: activation(gate) · up, or activation(up) where there is no gate. x [n, hidden] → [n, ffn]. */
export function innerOf(block: LoadedBlock, x: Tensor2D, expert?: number): Tensor2D {
  const { activation } = block.decoder;
  const gated = linearOf(block, 'gate', expert) ?? linearOf(block, 'gate-up', expert);
  if (gated === undefined) return activate(project(block, 'up', x, expert), activation);
  const [gate, up] = projectAll(block, ['gate', 'up'], 'gate-up', { x, expert }) as [Tensor2D, Tensor2D];
  return activateGated(gate, up, activation);
}
