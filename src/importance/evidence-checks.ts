import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { Evidence } from './metric.js';

/** The fields of `Evidence` that have one value a column. */
export type ColumnField = Exclude<keyof Evidence, WeightField>;
/** Those that have one value a weight. */
export type WeightField = 'gradient' | 'fisher';

/**
 * The evidence in `field`, one value for each column of the weight. Throws for evidence that is missing or of another size: a
 * single value would broadcast over every column without complaint.
 */
export function columnEvidence(metric: string, field: ColumnField, weight: Tensor2D, evidence: Evidence): Tensor1D {
  const found = evidence[field] ?? missing(metric, field);
  const columns = weight.shape[1];
  if (found.size === columns) return found;
  throw new Error(`${metric}: ${found.size} ${field} for ${columns} columns`);
}

/** The evidence in `field`, one value for each weight. Throws as `columnEvidence` does. */
export function weightEvidence(metric: string, field: WeightField, weight: Tensor2D, evidence: Evidence): Tensor2D {
  const found = evidence[field] ?? missing(metric, field);
  const [rows, columns] = weight.shape;
  if (found.shape[0] === rows && found.shape[1] === columns) return found;
  throw new Error(`${metric}: ${field} of [${found.shape.join(', ')}] for weights of [${rows}, ${columns}]`);
}

function missing(metric: string, field: string): never {
  throw new Error(`${metric} scores need ${field}`);
}
