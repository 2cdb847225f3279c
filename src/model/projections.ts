import { concat, slice, type Tensor2D } from '@tensorflow/tfjs-core';
import { int8Linear, linear, roundedLinear } from '../tensor/index.js';
import type { LinearRole, LinearSegment } from './decoder.js';
import { type LoadedBlock, type LoadedLinear, linearOf } from './loaded-block.js';

/** x [n, in] through the block's linear of that role → [n, out]. Throws RangeError when the block has none. */
export function project(block: LoadedBlock, role: LinearRole, x: Tensor2D, expert?: number): Tensor2D {
  const found = linearOf(block, role, expert);
  if (found === undefined) throw new RangeError(`block ${block.spec.index} has no ${role}`);
  return throughLinear(found, x);
}

/** As `project` for roles that share one input: each by its own linear, or all by the `fused` one where the block has that. */
export function projectAll(
  block: LoadedBlock,
  roles: readonly LinearSegment['role'][],
  fused: LinearRole,
  { x, expert }: { readonly x: Tensor2D; readonly expert?: number | undefined },
): Tensor2D[] {
  const together = linearOf(block, fused, expert);
  if (together === undefined) return roles.map((role) => project(block, role, x, expert));
  const all = throughLinear(together, x);
  return roles.map((role) => {
    const segments = (together.spec.segments ?? []).filter((segment) => segment.role === role);
    const pieces = segments.map(({ start, rows }) => slice(all, [0, start], [all.shape[0], rows]));
    return pieces.length === 1 ? pieces[0]! : concat(pieces, 1);
  });
}

/** x [n, in] through one linear → [n, out], with its inputs rounded where its weight's coding says so. */
export function throughLinear({ weight: matrix, bias, rounding }: LoadedLinear, x: Tensor2D): Tensor2D {
  if (rounding === undefined) return linear(x, matrix, bias);
  const { to, scales } = rounding;
  return scales === undefined ? roundedLinear(x, matrix, to, bias) : int8Linear(x, { matrix, scales }, bias);
}
