import type { Tensor2D } from '@tensorflow/tfjs-core';
import { activate, activateGated } from '../tensor/index.js';
import { type LoadedBlock, linearOf } from './loaded-block.js';
import { project, projectAll } from './projections.js';

/** What goes into `down`: activation(gate) · up, or activation(up) where there is no gate. x [n, hidden] → [n, ffn]. */
export function innerOf(block: LoadedBlock, x: Tensor2D, expert?: number): Tensor2D {
  const { activation } = block.decoder;
  const gated = linearOf(block, 'gate', expert) ?? linearOf(block, 'gate-up', expert);
  if (gated === undefined) return activate(project(block, 'up', x, expert), activation);
  const [gate, up] = projectAll(block, ['gate', 'up'], 'gate-up', { x, expert }) as [Tensor2D, Tensor2D];
  return activateGated(gate, up, activation);
}
