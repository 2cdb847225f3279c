import { add, concat, matMul, type Tensor, type Tensor1D, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Matrix } from '../matrix.js';
import { multiplyStored } from './stored-product.js';

/** x [n, in] · Wᵀ (+ bias [out]) → [n, out], W [out, in] as checkpoints store it; a W of two factors is two thin products. */
export function linear(x: Tensor2D, weight: Matrix, bias?: Tensor1D): Tensor2D {
  return tidy(() => {
    const input = weight.right === undefined ? x : linear(x, weight.right);
    const products = weight.parts.map((part) => timesRows(input, part as Tensor2D, weight));
    const product = products.length === 1 ? products[0]! : concat(products, 1);
    return (bias === undefined ? product : add<Tensor>(product, bias)) as Tensor2D;
  });
}

/** x · rowsᵀ for rows of one of a matrix's parts, in the form that its parts have. */
export function timesRows(x: Tensor2D, rows: Tensor2D, { stored }: Pick<Matrix, 'stored'>): Tensor2D {
  if (stored === undefined) return matMul(x, rows, false, true);
  return multiplyStored(x, { words: rows, format: stored, columns: x.shape[1] });
}
