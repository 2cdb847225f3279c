import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { broadcast_util, type KernelConfig, type KernelFunc, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { Graph } from './graph.js';
import type { GraphValue, OnnxRuntime } from './runtime.js';

/**
 * tfjs's BatchMatMul on the WASM heap: on ONNX Runtime when there is one, else on tfjs's own kernel, one matrix at a time.
 * tfjs's kernel alone returns wrong products where both operands broadcast, returns whatever memory held where the inner
 * dimension is 0, and takes 13 times as long when the second operand is transposed.
 */
export function matrixProducts(original: KernelConfig, runtime: OnnxRuntime | undefined): KernelConfig {
  const kernelFunc: KernelFunc = (call) => {
    const backend = call.backend as BackendWasm;
    const product = describe(call.inputs['a']!, call.inputs['b']!, call.attrs as unknown as Transposes);
    const output = backend.makeOutput(product.shape, product.dtype);
    if (util.sizeFromShape(product.shape) === 0) return output;
    if (product.inner === 0) backend.typedArrayFromHeap(output).fill(0);
    else if (product.dtype === 'int32') multiplyIntegers(backend, product, output);
    else if (runtime !== undefined) multiplyByRuntime(runtime, backend, product, output);
    else multiplyEach(original.kernelFunc, backend, product, output);
    return output;
  };
  return { ...original, kernelFunc };
}

/** Of a strip's result, and the fewest rows that it has. */
const STRIP_BYTES = 2 * 2 ** 20;
const STRIP_ROWS = 256;

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

interface Product extends Transposes {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly dtype: 'float32' | 'int32';
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly batch: number[];
  readonly shape: number[];
}

function describe(a: TensorInfo, b: TensorInfo, { transposeA, transposeB }: Transposes): Product {
  const [rows, inner] = sides(a, transposeA);
  const [innerB, columns] = sides(b, transposeB);
  util.assert(inner === innerB, () => `Inner shapes of [${a.shape}] and [${b.shape}] do not match.`);
  const batch = broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const dtype = a.dtype === 'int32' ? 'int32' : 'float32';
  return { a, b, transposeA, transposeB, dtype, rows, inner, columns, batch, shape: [...batch, rows, columns] };
}

function sides({ shape }: TensorInfo, transposed: boolean): [number, number] {
  const [first, second] = [shape.at(-2)!, shape.at(-1)!];
  return transposed ? [second, first] : [first, second];
}

function multiplyByRuntime(runtime: OnnxRuntime, backend: BackendWasm, product: Product, output: TensorInfo): void {
  const { a, b, transposeA, transposeB } = product;
  // Views are taken only now: making the output may have grown the heap, which detaches older views.
  const value = (tensor: TensorInfo) => ({
    data: backend.typedArrayFromHeap(tensor) as Float32Array,
    shape: tensor.shape,
  });
  const graph = (): Graph => ({
    inputs: { a: 'float32', b: 'float32' },
    nodes: [
      {
        op: 'FusedMatMul',
        domain: 'com.microsoft',
        inputs: ['a', 'b'],
        output: 'output',
        attributes: { transA: Number(transposeA), transB: Number(transposeB) },
      },
    ],
  });
  const name = `BatchMatMul ${transposeA} ${transposeB}`;
  const inputs = { a: value(a), b: value(b) };
  for (const { first, count } of stripsOf(product)) {
    const strip = ({ data, shape }: GraphValue): GraphValue => {
      const width = shape.at(-1)!;
      return { data: data.subarray(first * width, (first + count) * width), shape: [count, width] };
    };
    const isWhole = count === product.rows;
    runtime.run(
      name,
      graph,
      isWhole ? inputs : { ...inputs, a: strip(inputs.a) },
      isWhole ? value(output) : strip(value(output)),
    );
  }
}

/**
 * Of one plain matrix the strips of rows that are multiplied at a time, else all of it. The binding returns a copy of each result in
 * new memory: one that is small lies in memory that was used before, and in the processor's cache, where one of 32 MB takes as long as
 * the product. The library puts b in order for each strip, which many rows make up for. Sums of a row are those of the whole product.
 */
function* stripsOf({ transposeA, batch, b, rows, columns }: Product): Generator<{ first: number; count: number }> {
  const isPlain = !transposeA && batch.length === 0 && b.shape.length === 2;
  const most = Math.max(STRIP_ROWS, Math.floor(STRIP_BYTES / (4 * columns)));
  const strips = isPlain ? Math.max(1, Math.floor(rows / most)) : 1;
  for (let strip = 0, first = 0; strip < strips; strip += 1) {
    const end = Math.round(((strip + 1) * rows) / strips);
    yield { first, count: end - first };
    first = end;
  }
}

/** Each matrix of the batch by tfjs's kernel for two plain matrices, which is right and its only fast path. */
function multiplyEach(kernel: KernelFunc, backend: BackendWasm, product: Product, output: TensorInfo): void {
  const { rows, inner, columns } = product;
  const attrs = { transposeA: false, transposeB: false };
  const places = matricesOf(product);
  for (const [index, place] of places.entries()) {
    const a = copyMatrix(backend, product.a, place.a, [rows, inner], product.transposeA);
    const b = copyMatrix(backend, product.b, place.b, [inner, columns], product.transposeB);
    const c = kernel({ inputs: { a, b }, backend, attrs }) as TensorInfo;
    backend.typedArrayFromHeap(output).set(backend.typedArrayFromHeap(c), index * rows * columns);
    for (const tensor of [a, b, c]) backend.disposeData(tensor.dataId);
  }
}

/** Matrix `index` of a batch as a tensor of its own, of the given shape; `transposed` when it is stored the other way round. */
function copyMatrix(
  backend: BackendWasm,
  tensor: TensorInfo,
  index: number,
  [rows, columns]: [number, number],
  transposed: boolean,
): TensorInfo {
  const copy = backend.makeOutput([rows, columns], 'float32');
  const target = backend.typedArrayFromHeap(copy);
  const source = backend.typedArrayFromHeap(tensor).subarray(index * rows * columns, (index + 1) * rows * columns);
  if (!transposed) {
    target.set(source);
    return copy;
  }
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) target[row * columns + column] = source[column * rows + row]!;
  }
  return copy;
}

/** Exact as long as the sums stay below 2^53, then modulo 2^32, as integer tensors are. */
function multiplyIntegers(backend: BackendWasm, product: Product, output: TensorInfo): void {
  const { rows, inner, columns, transposeA, transposeB } = product;
  const [a, b, c] = [product.a, product.b, output].map((tensor) => backend.typedArrayFromHeap(tensor));
  const [rowStep, innerStepA] = transposeA ? [1, rows] : [inner, 1];
  const [innerStepB, columnStep] = transposeB ? [1, inner] : [columns, 1];
  let next = 0;
  for (const place of matricesOf(product)) {
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        let total = 0;
        let from = place.a * rows * inner + row * rowStep;
        let to = place.b * inner * columns + column * columnStep;
        for (let k = 0; k < inner; k += 1) {
          total += a![from]! * b![to]!;
          from += innerStepA;
          to += innerStepB;
        }
        c![next] = total;
        next += 1;
      }
    }
  }
}

/** For each matrix of the result, in order, which matrix of a and which of b it is the product of. */
function matricesOf({ a, b, batch }: Product): { a: number; b: number }[] {
  const count = util.sizeFromShape(batch);
  const places = (operand: TensorInfo) => {
    const shape = operand.shape.slice(0, -2);
    const strides = util.computeStrides([...shape, 1]);
    return (coordinates: number[]) =>
      coordinates
        .slice(batch.length - shape.length)
        .reduce((place, coordinate, axis) => place + (shape[axis] === 1 ? 0 : coordinate * strides[axis]!), 0);
  };
  const [placeA, placeB, strides] = [places(a), places(b), util.computeStrides(batch)];
  return Array.from({ length: count }, (_, index) => {
    const coordinates = batch.length === 0 ? [] : util.indexToLoc(index, batch.length, strides);
    return { a: placeA(coordinates), b: placeB(coordinates) };
  });
}
