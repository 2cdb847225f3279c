import {
  add,
  cast,
  concat,
  div,
  matMul,
  mul,
  reshape,
  round,
  slice,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import type { Matrix } from '../matrix.js';
import { linear } from './linear.js';
import { type InputRounding, roundRows } from './round-inputs.js';

/** Products of 8-bit integers that float32 adds up exactly, whatever the order: 1024 · 128 · 128 = 2^24. */
const EXACT_COLUMNS = 1024;

/** A weight of 8-bit integers: its values, and what each of its rows' integers was multiplied by. */
export interface Int8Weight {
  readonly matrix: Matrix;
  /** [out]. */
  readonly scales: Tensor1D;
}

/**
 * x [n, in] · Wᵀ (+ bias) → [n, out] as a W8A8 kernel computes it: inputs rounded to 8 bits token by token, integers multiplied and
 * added up exactly (as int32), each sum times the scales of its token and its row.
 */
export function int8Linear(x: Tensor2D, weight: Int8Weight, bias?: Tensor1D): Tensor2D {
  return tidy(() => {
    const { codes, scales } = roundRows(x, 'int8');
    let firstRow = 0;
    const products = weight.matrix.parts.map((part) => {
      const rows = part.shape[0]!;
      const rowScales = reshape(slice(weight.scales, firstRow, rows), [rows, 1]);
      firstRow += rows;
      // The values are codes · scale, rounded to float32: dividing gives the codes back once they are rounded.
      const integers = round(div(part as Tensor2D, rowScales)) as Tensor2D;
      return mul(exactProduct(codes, integers), reshape(rowScales, [1, rows])) as Tensor2D;
    });
    const product = mul(products.length === 1 ? products[0]! : concat(products, 1), scales);
    return (bias === undefined ? product : add<Tensor>(product, bias)) as Tensor2D;
  });
}

/** Sums of products of integers, exact as int32 and then rounded to float32 once. */
function exactProduct(left: Tensor2D, right: Tensor2D): Tensor2D {
  const columns = left.shape[1];
  if (columns <= EXACT_COLUMNS) return matMul(left, right, false, true);
  let sum: Tensor2D | undefined;
  for (let first = 0; first < columns; first += EXACT_COLUMNS) {
    const count = Math.min(EXACT_COLUMNS, columns - first);
    const some = (x: Tensor2D) => slice(x, [0, first], [x.shape[0], count]);
    const product = cast(matMul(some(left), some(right), false, true), 'int32') as Tensor2D;
    sum = sum === undefined ? product : add(sum, product);
  }
  return cast(sum!, 'float32');
}

/**
 * x [n, in] · Wᵀ (+ bias) → [n, out] with the inputs rounded token by token; products are added up in float32, as tensor cores do
 * with floats of 8 bits.
 */
export function roundedLinear(x: Tensor2D, weight: Matrix, rounding: InputRounding, bias?: Tensor1D): Tensor2D {
  return tidy(() => {
    const { codes, scales } = roundRows(x, rounding);
    const product = mul(linear(codes, weight), scales);
    return (bias === undefined ? product : add<Tensor>(product, bias)) as Tensor2D;
  });
}
