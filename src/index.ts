/**
 * birdbone as a library: what the commands do, as functions. Algorithms are here as well (metrics, patterns, devices), for programs
 * that bring their own tensors.
 *
 * @packageDocumentation
 */

export { type AssessOptions, type AssessResult, assess } from './assessing/index.js';
export {
  type Checkpoint,
  openCheckpoint,
  readFloats,
  SafetensorsWriter,
  type TensorInfo,
  writeCheckpoint,
} from './checkpoint/index.js';
export { type Conversion, type ConvertOptions, convert } from './conversion/index.js';
export { BirdboneError, type ErrorCode, type ErrorDetails, EXIT_CODES } from './errors.js';
export {
  type Comparison,
  type EvaluateOptions,
  type Evaluation,
  evaluateModel,
  type Figures,
  type Gate,
  parseGate,
} from './evaluation/index.js';
export type { Event, Report } from './events.js';
export { type Evidence, type ImportanceMetric, metrics } from './importance/index.js';
export {
  type DiffReport,
  diffCheckpoints,
  hashCheckpoint,
  type Manifest,
  readManifest,
  renderDiffMarkdown,
  type VerifyReport,
  verifyFolder,
  type WeightHashes,
} from './manifest/index.js';
export {
  type Decoder,
  type Inspection,
  type InspectOptions,
  inspectModel,
  type Model,
  openModel,
} from './model/index.js';
export { loadRecipe, parseRecipe, type Recipe, type RecipeInput } from './recipe.js';
export type { Registry } from './registry.js';
export {
  type CheckReport,
  checkWeightHashes,
  scopeOf,
  type UpdateReport,
  updateWeightHashes,
} from './repository/index.js';
export { type ScoreOptions, type ScoreResult, score } from './scoring/index.js';
export { type Mask, type Pattern, parsePattern, patterns } from './sparsity/index.js';
export { availableDevices, type Device, type DeviceChoice, openDevice } from './tensor/index.js';
export {
  type ControlOptions,
  type ControlResult,
  controlRun,
  type Exported,
  type ExportOptions,
  exportState,
  type Log,
  type LogFilter,
  type OpenedState,
  type OpenStateOptions,
  openState,
  type Plan,
  planRollback,
  planRun,
  type RollbackOptions,
  type RollbackPlan,
  type RunOptions,
  type RunResult,
  readLog,
  readTags,
  removeTag,
  rollbackTo,
  run,
  type TagOptions,
  tagState,
} from './waves/index.js';
