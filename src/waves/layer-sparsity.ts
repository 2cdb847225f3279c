import type { Layer } from '../checkpoint/index.js';
import { combineMasks, keptCount, type Mask, maskBytes } from '../sparsity/index.js';

/** How much of one tensor is removed. */
export interface TensorSparsity {
  readonly name: string;
  readonly elements: number;
  readonly removed: number;
}

/**
 * Counts what the layers' masks remove together from each tensor, in the order given. A weight that an earlier layer removed
 * counts, whether or not a later one says so again.
 */
export async function removedBy(
  tensors: readonly { readonly name: string; readonly elements: number }[],
  layers: readonly Layer[],
): Promise<TensorSparsity[]> {
  const counted: TensorSparsity[] = [];
  for (const { name, elements } of tensors) {
    const masks: Mask[] = [];
    for (const layer of layers) {
      if (layer.masks.has(name)) {
        masks.push({
          rows: 1,
          columns: elements,
          bits: await layer.readMask(name, { offset: 0, length: maskBytes(elements) }),
        });
      }
    }
    const [first, ...others] = masks;
    const removed = first === undefined ? 0 : elements - keptCount(combineMasks(first, ...others));
    counted.push({ name, elements, removed });
  }
  return counted;
}

/** Fraction removed of all of them. */
export function sparsityOf(tensors: readonly TensorSparsity[]): number {
  let elements = 0;
  let removed = 0;
  for (const tensor of tensors) {
    elements += tensor.elements;
    removed += tensor.removed;
  }
  return elements === 0 ? 0 : removed / elements;
}
