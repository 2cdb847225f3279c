import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { ImportanceMetric } from '../importance/index.js';
import type { LinearSpec } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import type { Device, Matrix } from '../tensor/index.js';

/**
 * Scores one linear weight on the device, part by part, and brings the scores back: rows × columns floats on the host.
 * `norms` are those of the linear's input, for metrics that need activations.
 */
export async function scoreMatrix(
  metric: ImportanceMetric,
  spec: LinearSpec,
  operands: { readonly weight: Matrix; readonly norms?: Tensor1D },
  device: Device,
): Promise<MatrixScores> {
  const { rows, columns } = spec;
  const values = new Float32Array(rows * columns);
  let offset = 0;
  for (const part of operands.weight.parts) {
    const scores = metric.score(part as Tensor2D, operands.norms === undefined ? {} : { inputNorms: operands.norms });
    try {
      values.set((await device.read(scores)) as Float32Array, offset);
    } finally {
      scores.dispose();
    }
    offset += part.size;
  }
  return { name: spec.weight, values, rows, columns };
}
