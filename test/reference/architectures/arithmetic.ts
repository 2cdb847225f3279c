import { type ReferenceModel, type ReferenceTensor, tensorOf } from './definition.js';

/** M x for M [rows, columns]. */
export function multiply(matrix: ReferenceTensor, x: Float64Array): Float64Array {
  const [rows, columns] = matrix.shape as [number, number];
  if (columns !== x.length) throw new Error(`${columns} columns for ${x.length} values`);
  const product = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += matrix.values[r * columns + c]! * x[c]!;
    product[r] = sum;
  }
  return product;
}

/** torch's nn.Linear `name`: W x, and the bias where the model has one. */
export function project(model: ReferenceModel, name: string, x: Float64Array): Float64Array {
  const product = multiply(tensorOf(model, `${name}.weight`), x);
  const bias = model.tensor(`${name}.bias`);
  return bias === undefined ? product : product.map((value, i) => value + bias.values[i]!);
}

export function rowOf(matrix: ReferenceTensor, index: number): Float64Array {
  const columns = matrix.shape[1]!;
  return Float64Array.from({ length: columns }, (_, c) => matrix.values[index * columns + c]!);
}

export function plus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

export function times(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value * b[i]!);
}

/** x / √(mean x² + ε): Zhang & Sennrich 2019 without the gain. */
export function divideByRms(x: Float64Array, epsilon: number): Float64Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  const root = Math.sqrt(squares / x.length + epsilon);
  return x.map((value) => value / root);
}

export function rmsNorm(x: Float64Array, gain: ReferenceTensor, epsilon: number): Float64Array {
  return divideByRms(x, epsilon).map((value, i) => value * gain.values[i]!);
}

/** silu(x) = x σ(x). */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** `gelu_new` and `gelu_pytorch_tanh`: Hendrycks & Gimpel 2016, the tanh approximation. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
