import type { LoadedBlock } from '../model/index.js';
import { type Device, disposeMatrix, type Matrix, uploadMatrix } from '../tensor/index.js';

export interface RevisedBlock {
  readonly block: LoadedBlock;
  /** Frees the new weights; the others are their owner's. */
  dispose(): void;
}

/** The loaded block with other values [rows, columns] in some of its weights; it holds the other tensors of the block it is made of. */
export function revisedBlock(
  block: LoadedBlock,
  values: ReadonlyMap<string, Float32Array>,
  device: Device,
): RevisedBlock {
  const uploaded: Matrix[] = [];
  const linears = new Map(block.linears);
  const dispose = () => uploaded.forEach(disposeMatrix);
  try {
    for (const [weight, own] of values) {
      const linear = block.linears.get(weight)!;
      const matrix = uploadMatrix(device, own, linear.spec.rows, linear.spec.columns);
      uploaded.push(matrix);
      linears.set(weight, { ...linear, weight: matrix });
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { block: { ...block, linears }, dispose };
}
