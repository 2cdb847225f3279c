import { slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { Evidence, ImportanceMetric } from '../importance/index.js';
import { type LinearSpec, loadLinearMatrix } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import { type Device, disposeMatrix, type Matrix, showValues } from '../tensor/index.js';
import type { WeightEvidence } from './gradient-evidence.js';
import type { ColumnEvidence } from './input-evidence.js';

/** Weights are scored in slices of whole rows of this size, so that beside the result no second matrix of scores is alive. */
const SLICE_BYTES = 32 * 2 ** 20;

/** What is known of a linear besides its weight; what its metric does not need may be absent. */
export interface LinearEvidence {
  readonly columns?: ColumnEvidence | undefined;
  readonly weights?: WeightEvidence | undefined;
}

/** Shows the scores of one matrix slice by slice, in order: whole rows, on the device, from this element on. */
export type ScoreSlices = (take: (scores: Tensor2D, firstElement: number) => Promise<void>) => Promise<void>;

/** Scores one linear weight that is on the device. */
export function slicesOfMatrix(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly weight: Matrix; readonly evidence?: LinearEvidence },
  device: Device,
): ScoreSlices {
  const slices = () => slicesOf(operands.weight);
  return (take) => scoreSlices(metric, spec, { slices, evidence: operands.evidence ?? {}, take }, device);
}

/** As `slicesOfMatrix`, for a weight that is only in the checkpoint: no more than a slice of it goes to the device. */
export function slicesOfStored(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly checkpoint: Checkpoint; readonly evidence?: LinearEvidence },
  device: Device,
): ScoreSlices {
  const { checkpoint, evidence = {} } = operands;
  return async (take) => {
    if (spec.layout !== 'in-out') {
      const slices = () => storedSlices(checkpoint, spec, device);
      return scoreSlices(metric, spec, { slices, evidence, take }, device);
    }
    // Its rows are not together in the file.
    const weight = await loadLinearMatrix(checkpoint, spec, device);
    try {
      await slicesOfMatrix(metric, spec, { weight, evidence }, device)(take);
    } finally {
      disposeMatrix(weight);
    }
  };
}

/** Brings scores back: rows × columns floats on the host. */
export async function readScores(spec: LinearSpec, slices: ScoreSlices, device: Device): Promise<MatrixScores> {
  const { rows, columns } = spec;
  const values = new Float32Array(rows * columns);
  await slices((scores, first) => showValues(scores, device, (some) => values.set(some, first)));
  return { name: spec.weight, values, rows, columns };
}

/** Scores one linear weight that is on the device, and brings the scores back. */
export function scoreMatrix(...operands: Parameters<typeof slicesOfMatrix>): Promise<MatrixScores> {
  return readScores(operands[1], slicesOfMatrix(...operands), operands[3]);
}

/** As `scoreMatrix`, for a weight that is only in the checkpoint. */
export function scoreStored(...operands: Parameters<typeof slicesOfStored>): Promise<MatrixScores> {
  return readScores(operands[1], slicesOfStored(...operands), operands[3]);
}

/** Whole rows of a weight, each slice the caller's to dispose. */
type Slices = () => Iterable<Tensor2D> | AsyncIterable<Tensor2D>;

async function scoreSlices(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: {
    readonly slices: Slices;
    readonly evidence: LinearEvidence;
    readonly take: Parameters<ScoreSlices>[0];
  },
  device: Device,
): Promise<void> {
  const { columns } = spec;
  const columnAbsSums = metric.needs.includes('column-sums')
    ? await sumColumns(operands.slices, spec, device)
    : undefined;
  const vectors = upload({ ...operands.evidence.columns, ...(columnAbsSums && { columnAbsSums }) }, [columns], device);
  let offset = 0;
  try {
    for await (const weight of operands.slices()) {
      const part = slicesAt(operands.evidence.weights ?? {}, offset, weight.size);
      const matrices = upload(part, weight.shape, device);
      const scores = metric.score(weight, { ...vectors, ...matrices } as Evidence);
      disposeAll({ weight, ...matrices });
      try {
        await operands.take(scores, offset);
      } finally {
        scores.dispose();
      }
      offset += scores.size;
    }
  } finally {
    disposeAll(vectors);
  }
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
