import { registryOf } from '../registry.js';
import type { ImportanceMetric } from './metric.js';

export {
  type GroupSummary,
  type HeadGroups,
  headGroups,
  MatrixAggregate,
  type MatrixSummary,
  type ScoreSummary,
} from './aggregate.js';
export { type Evidence, type EvidenceKind, type ImportanceMetric, needsText } from './metric.js';
export { standardScores } from './standard-scores.js';
export { summariesToCsv } from './summary-csv.js';

/** `--metric`: how much a weight counts. */
export const metrics = registryOf<ImportanceMetric>()('metric', {
  magnitude: () => import('./magnitude.js'),
  wanda: () => import('./wanda.js'),
  ria: () => import('./ria.js'),
  taylor: () => import('./taylor.js'),
  fisher: () => import('./fisher.js'),
  hessian: () => import('./hessian.js'),
  activation: () => import('./activation.js'),
  flap: () => import('./flap.js'),
});
