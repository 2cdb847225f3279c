import { slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { Evidence, ImportanceMetric } from '../importance/index.js';
import { type LinearSpec, loadLinearMatrix } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import { type Device, disposeMatrix, type Matrix } from '../tensor/index.js';
import type { WeightEvidence } from './gradient-evidence.js';
import type { ColumnEvidence } from './input-evidence.js';

/** Weights are scored in slices of whole rows of this size, so that beside the result no second matrix of scores is alive. */
const SLICE_BYTES = 32 * 2 ** 20;

/** What is known of a linear besides its weight; what its metric does not need may be absent. */
export interface LinearEvidence {
  readonly columns?: ColumnEvidence | undefined;
  readonly weights?: WeightEvidence | undefined;
}

/** Scores one linear weight that is on the device, and brings the scores back: rows × columns floats on the host. */
export function scoreMatrix(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly weight: Matrix; readonly evidence?: LinearEvidence },
  device: Device,
): Promise<MatrixScores> {
  const slices = () => slicesOf(operands.weight);
  return scoreSlices(metric, spec, { slices, evidence: operands.evidence ?? {} }, device);
}

/** As `scoreMatrix`, for a weight that is only in the checkpoint: no more than a slice of it goes to the device. */
export async function scoreStored(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly checkpoint: Checkpoint; readonly evidence?: LinearEvidence },
  device: Device,
): Promise<MatrixScores> {
  const { checkpoint, evidence = {} } = operands;
  if (spec.layout === 'in-out') {
    // Its rows are not together in the file.
    const weight = await loadLinearMatrix(checkpoint, spec, device);
    try {
      return await scoreMatrix(metric, spec, { weight, evidence }, device);
    } finally {
      disposeMatrix(weight);
    }
  }
  return scoreSlices(metric, spec, { slices: () => storedSlices(checkpoint, spec, device), evidence }, device);
}

/** Whole rows of a weight, each slice the caller's to dispose. */
type Slices = () => Iterable<Tensor2D> | AsyncIterable<Tensor2D>;

async function scoreSlices(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly slices: Slices; readonly evidence: LinearEvidence },
  device: Device,
): Promise<MatrixScores> {
  const { rows, columns } = spec;
  const columnAbsSums = metric.needs.includes('column-sums')
    ? await sumColumns(operands.slices, spec, device)
    : undefined;
  const vectors = upload({ ...operands.evidence.columns, ...(columnAbsSums && { columnAbsSums }) }, [columns], device);
  const values = new Float32Array(rows * columns);
  let offset = 0;
  try {
    for await (const weight of operands.slices()) {
      const part = slicesAt(operands.evidence.weights ?? {}, offset, weight.size);
      const matrices = upload(part, weight.shape, device);
      const scores = metric.score(weight, { ...vectors, ...matrices } as Evidence);
      disposeAll({ weight, ...matrices });
      try {
        values.set((await device.read(scores)) as Float32Array, offset);
      } finally {
        scores.dispose();
      }
      offset += scores.size;
    }
  } finally {
    disposeAll(vectors);
  }
  return { name: spec.weight, values, rows, columns };
}

/** Σ_i |W_ij| over all rows, in float64. */
async function sumColumns(slices: Slices, { columns }: LinearSpec, device: Device): Promise<Float32Array> {
  const sums = new Float64Array(columns);
  for await (const weight of slices()) {
    const values = (await device.read(weight)) as Float32Array;
    weight.dispose();
    for (let row = 0; row < values.length; row += columns) {
      for (let column = 0; column < columns; column++) sums[column]! += Math.abs(values[row + column]!);
    }
  }
  return Float32Array.from(sums);
}

function slicesAt(weights: WeightEvidence, offset: number, size: number): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(weights).map(([kind, values]) => [kind, values.subarray(offset, offset + size)]),
  );
}

function upload(fields: object, shape: readonly number[], device: Device): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, values]: [string, Float32Array]) => [name, device.upload(values, shape)]),
  );
}

function disposeAll(tensors: Readonly<Record<string, Tensor>>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
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
