import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { KernelCall, WgslKernel } from './kernel.js';
import { multiply, type Side } from './multiply.js';

/**
 * The matrix product of float32 tensors [..., m, k] · [..., k, n], either of them transposed, whose batches are alike or of one.
 * Takes the place of tfjs's BatchMatMul on a GPU (backends/webgpu.ts), which stays for other batches. Unlike tfjs's, whose sums of
 * long inner dimensions are added up by atomics in whatever order, it gives the same bits at every run.
 */
export const productKernel: WgslKernel = {
  operation: 'birdbone.Product',
  fits: (call, { limits }) => {
    const { a, b, batch } = operandsOf(call);
    const batches = [a, b].map(({ shape }) => util.sizeFromShape(shape.slice(0, -2)));
    return batch <= limits.maxComputeWorkgroupsPerDimension && batches.every((count) => count === 1 || count === batch);
  },
  run(call, gpu) {
    const { a, b, transposeA, transposeB, batch, batchShape } = operandsOf(call);
    const [m, k] = sidesOf(a, transposeA);
    const [, n] = sidesOf(b, transposeB);
    return multiply(gpu, {
      left: sideOf(a, transposeA ? 'depth-by-depth' : 'line-by-line'),
      right: sideOf(b, transposeB ? 'line-by-line' : 'depth-by-depth'),
      shape: { batch, m, n, k },
      result: [...batchShape, m, n],
    });
  },
};

function operandsOf({ inputs, attributes }: KernelCall) {
  const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
  const { transposeA, transposeB } = attributes as unknown as { transposeA: boolean; transposeB: boolean };
  // Of two batches that go together the one that is no single matrix says what there is; of two of one, the longer.
  const [shapeA, shapeB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [countA, countB] = [util.sizeFromShape(shapeA), util.sizeFromShape(shapeB)];
  const isLeft = countA > countB || (countA === countB && shapeA.length >= shapeB.length);
  return { a, b, transposeA, transposeB, batch: Math.max(countA, countB), batchShape: isLeft ? shapeA : shapeB };
}

/** Rows and columns of an operand as it is multiplied. */
function sidesOf({ shape }: TensorInfo, transposed: boolean): [number, number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

function sideOf(tensor: TensorInfo, order: Side['order']): Side {
  const single = util.sizeFromShape(tensor.shape.slice(0, -2)) === 1;
  return { tensor, order, format: 'f32', step: single ? 0 : util.sizeFromShape(tensor.shape.slice(-2)) };
}
