import type { DoubleMatrix, DoubleProducts } from '../../device.js';
import type { Graph } from './graph.js';
import type { OnnxRuntime } from './runtime.js';

/** Products in double precision by ONNX Runtime's own library, on arrays that stay where they are. */
export function doubleProducts(runtime: OnnxRuntime): DoubleProducts {
  return {
    multiply(left, right, { transposeLeft = false, transposeRight = false } = {}) {
      const [rows, inner] = transposeLeft ? [left.columns, left.rows] : [left.rows, left.columns];
      const [innerRight, columns] = transposeRight ? [right.columns, right.rows] : [right.rows, right.columns];
      if (inner !== innerRight) throw new RangeError(`A product of inner dimensions ${inner} and ${innerRight}.`);
      const product = new Float64Array(rows * columns);
      if (product.length === 0 || inner === 0) return product;
      runtime.run(
        `double product ${transposeLeft} ${transposeRight}`,
        () => productGraph(transposeLeft, transposeRight),
        { a: operandOf(left), b: operandOf(right) },
        { data: product, shape: [rows, columns] },
      );
      return product;
    },
  };
}

function operandOf({ values, rows, columns }: DoubleMatrix) {
  return { data: values, shape: [rows, columns] };
}

function productGraph(transposeLeft: boolean, transposeRight: boolean): Graph {
  const attributes = { transA: Number(transposeLeft), transB: Number(transposeRight) };
  return {
    inputs: { a: 'float64', b: 'float64' },
    nodes: [{ op: 'Gemm', inputs: ['a', 'b'], output: 'output', attributes }],
    output: 'float64',
  };
}
