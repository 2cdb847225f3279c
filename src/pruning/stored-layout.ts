import type { LinearSpec } from '../model/index.js';
import { type Mask, maskFrom } from '../sparsity/index.js';

type Layout = Pick<LinearSpec, 'rows' | 'columns' | 'layout'>;

/** The bits of a mask over [rows, columns] in the order in which the tensor's elements are stored. */
export function storedBits(mask: Mask, spec: Layout): Uint8Array {
  if (spec.layout !== 'in-out') return mask.bits;
  const { rows, columns } = spec;
  const keep = new Uint8Array(rows * columns);
  for (let i = 0; i < keep.length; i += 1) keep[transposed(i, spec)] = (mask.bits[i >>> 3]! >>> (i & 7)) & 1;
  return maskFrom(keep, columns, rows).bits;
}

/** Values [rows, columns] in the order in which the tensor's elements are stored. */
export function storedValues(values: Float32Array, spec: Layout): Float32Array {
  if (spec.layout !== 'in-out') return values;
  const stored = new Float32Array(values.length);
  for (let i = 0; i < values.length; i += 1) stored[transposed(i, spec)] = values[i]!;
  return stored;
}

function transposed(i: number, { rows, columns }: Layout): number {
  return (i % columns) * rows + Math.floor(i / columns);
}
