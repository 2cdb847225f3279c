import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Gram } from '../../evidence/index.js';
import { encodeRows } from '../../ggml/index.js';
import { dequantizeMatrix, quantizeMatrix } from '../../quantization/index.js';
import { type Device, decodeToF32, disposeMatrix, encodeFromF32, linear, uploadMatrix } from '../../tensor/index.js';
import type { Form } from '../forms.js';

/** Rows of a matrix that stand for all: the spread of a hundred rows' errors is far below the step from one bit to the next. */
export const SAMPLED_ROWS = 128;

/** Some whole rows of a matrix. */
export interface Rows {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** At most 128 rows, evenly spaced, of a matrix. */
export function sampleRows({ values, rows, columns }: Rows): Rows {
  if (rows <= SAMPLED_ROWS) return { values, rows, columns };
  const sampled = new Float32Array(SAMPLED_ROWS * columns);
  for (let i = 0; i < SAMPLED_ROWS; i += 1) {
    const row = Math.floor((i * rows) / SAMPLED_ROWS);
    sampled.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return { values: sampled, rows: SAMPLED_ROWS, columns };
}

/** The rows as they would be read back from that form, each weight rounded to nearest. */
export function roundTrip({ values, rows, columns }: Rows, form: Form, search: 'absmax' | 'mse'): Float32Array {
  switch (form.kind) {
    case 'dense':
      return values;
    case 'scheme':
      return dequantizeMatrix(quantizeMatrix(values, rows, columns, form.scheme, { search }));
    case 'blocks': {
      const bytes = form.dtype === 'F16' ? encodeFromF32(values, 'F16') : encodeRows(form.dtype, values, columns);
      return decodeToF32(bytes, form.dtype);
    }
  }
}

/** Measures differences by what they do to outputs. The Gram matrix is on the device until `dispose`. */
export interface OutputNorm {
  /** tr(D G Dᵀ) of rows D: the sum over calibration tokens of the squared outputs; Σ D² where no token came there. */
  square(rows: Rows): Promise<number>;
  dispose(): void;
}

/** The norm by an input's Gram matrix; one without tokens tells nothing, and the weights count alone. */
export function outputNorm(gram: Gram, device: Device): OutputNorm {
  if (gram.tokens === 0) {
    return { square: async ({ values }) => dot(values, values), dispose: () => undefined };
  }
  const { columns } = gram;
  const matrix = uploadMatrix(device, gram.values, columns, columns);
  return {
    async square({ values, rows }) {
      const input = device.upload(values, [rows, columns]) as Tensor2D;
      // G is its own transpose.
      const product = linear(input, matrix);
      const found = (await device.read(product)) as Float32Array;
      dispose([input, product]);
      return Math.max(0, dot(values, found));
    },
    dispose: () => disposeMatrix(matrix),
  };
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < left.length; i += 1) sum += left[i]! * right[i]!;
  return sum;
}
