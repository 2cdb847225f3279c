import { add, concat, matMul, type Tensor, type Tensor1D, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Matrix } from '../matrix.js';

/** x [n, in] · Wᵀ (+ bias [out]) → [n, out], W [out, in] as checkpoints store it; a W of two factors is two thin products. */
export function linear(x: Tensor2D, weight: Matrix, bias?: Tensor1D): Tensor2D {
  return tidy(() => {
    const input = weight.right === undefined ? x : linear(x, weight.right);
    const products = weight.parts.map((part) => matMul(input, part as Tensor2D, false, true));
    const product = products.length === 1 ? products[0]! : concat(products as Tensor2D[], 1);
    return (bias === undefined ? product : add<Tensor>(product, bias)) as Tensor2D;
  });
}
