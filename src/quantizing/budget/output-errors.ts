import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Gram } from '../../evidence/index.js';
import { encodeRows } from '../../ggml/index.js';
import { dequantizeMatrix, quantizeMatrix } from '../../quantization/index.js';
import { type Device, decodeToF32, disposeMatrix, encodeFromF32, linear, uploadMatrix } from '../../tensor/index.js';
import type { Form } from '../forms.js';

/**
 * Weights of a matrix, in whole rows, that stand for all. Only ratios between a matrix's own forms are made of them, on the same rows,
 * so that the rows' own spread falls out.
 */
const SAMPLED_WEIGHTS = 16_384;
/** However long rows are. */
const FEWEST_ROWS = 16;

/** Some whole rows of a matrix. */
export interface Rows {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** The numbers of some rows that stand for all of a matrix, evenly spaced. */
export function sampledRows({ rows, columns }: Pick<Rows, 'rows' | 'columns'>): number[] {
  const count = Math.min(rows, Math.max(FEWEST_ROWS, Math.ceil(SAMPLED_WEIGHTS / columns)));
  return Array.from({ length: count }, (_, i) => Math.floor((i * rows) / count));
}

/** These rows of a matrix. */
export function sampleRows({ values, rows, columns }: Rows): Rows {
  const chosen = sampledRows({ rows, columns });
  if (chosen.length === rows) return { values, rows, columns };
  const sampled = new Float32Array(chosen.length * columns);
  for (const [i, row] of chosen.entries()) {
    sampled.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return { values: sampled, rows: chosen.length, columns };
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
