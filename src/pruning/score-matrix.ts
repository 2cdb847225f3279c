import { slice, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { ImportanceMetric } from '../importance/index.js';
import type { LinearSpec } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import type { Device, Matrix } from '../tensor/index.js';

/** Weights are scored in slices of whole rows of this size, so that beside the result no second matrix of scores is alive. */
const SLICE_BYTES = 32 * 2 ** 20;

/**
 * Scores one linear weight that is on the device, and brings the scores back: rows × columns floats on the host.
 * `norms` are those of the linear's input, for metrics that need activations.
 */
export function scoreMatrix(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly weight: Matrix; readonly norms?: Tensor1D },
  device: Device,
): Promise<MatrixScores> {
  return scoreSlices(metric, spec, { slices: slicesOf(operands.weight), norms: operands.norms }, device);
}

/** As `scoreMatrix`, for a weight that is only in the checkpoint: no more than a slice of it goes to the device. */
export function scoreStored(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly checkpoint: Checkpoint; readonly norms?: Tensor1D },
  device: Device,
): Promise<MatrixScores> {
  const slices = storedSlices(operands.checkpoint, spec, device);
  return scoreSlices(metric, spec, { slices, norms: operands.norms }, device);
}

async function scoreSlices(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: {
    readonly slices: Iterable<Tensor2D> | AsyncIterable<Tensor2D>;
    readonly norms: Tensor1D | undefined;
  },
  device: Device,
): Promise<MatrixScores> {
  const { rows, columns } = spec;
  const evidence = operands.norms === undefined ? {} : { inputNorms: operands.norms };
  const values = new Float32Array(rows * columns);
  let offset = 0;
  for await (const weight of operands.slices) {
    const scores = metric.score(weight, evidence);
    weight.dispose();
    try {
      values.set((await device.read(scores)) as Float32Array, offset);
    } finally {
      scores.dispose();
    }
    offset += scores.size;
  }
  return { name: spec.weight, values, rows, columns };
}

function* slicesOf(weight: Matrix): Generator<Tensor2D> {
  const step = rowsPerSlice(weight.columns);
  for (const part of weight.parts as readonly Tensor2D[]) {
    const rows = part.shape[0];
    for (let start = 0; start < rows; start += step) {
      yield slice(part, [start, 0], [Math.min(step, rows - start), weight.columns]);
    }
  }
}

async function* storedSlices(checkpoint: Checkpoint, spec: LinearSpec, device: Device): AsyncGenerator<Tensor2D> {
  const { rows, columns, weight } = spec;
  const step = rowsPerSlice(columns);
  for (let start = 0; start < rows; start += step) {
    const count = Math.min(step, rows - start);
    yield device.upload(await readFloats(checkpoint, weight, { start, count }), [count, columns]) as Tensor2D;
  }
}

function rowsPerSlice(columns: number): number {
  return Math.max(1, Math.floor(SLICE_BYTES / (4 * columns)));
}
