export type { Architecture } from './architecture.js';
export { architectures } from './architectures.js';
export type { Sequences } from './attention.js';
export {
  apartAbove,
  batchesOf,
  isPadded,
  realPositions,
  type TokenBatch,
  tokensPerBatch,
  valuesPerToken,
} from './batches.js';
export { forwardBlock, type Observe } from './block.js';
export type {
  Activation,
  BlockShape,
  BlockSpec,
  Decoder,
  Experts,
  KeyValueScales,
  LinearInput,
  LinearRole,
  LinearSegment,
  LinearSpec,
  Model,
  NormKind,
  Rope,
  RopeScaling,
  VectorKind,
  VectorSpec,
} from './decoder.js';
export { describeModel } from './describe.js';
export { embeddedStates, embeddedWindows } from './embedded-states.js';
export { type EmbeddingOptions, embedBatches } from './embedding.js';
export { type BlockHalf, halfInput, halfOutput } from './halves.js';
export { type HeadSection, headSections, loadFinalNorm, loadHead } from './head.js';
export {
  createArrays,
  createHiddenStates,
  DEFAULT_MEMORY_BYTES,
  type HiddenStates,
  type HiddenStatesOptions,
  type SpillableArrays,
} from './hidden-states.js';
export { type InspectedTensor, type Inspection, type InspectOptions, inspectModel } from './inspect.js';
export {
  disposeBlock,
  disposeLinear,
  type KeyValues,
  type LoadedBlock,
  type LoadedLinear,
  linearOf,
  loadBlock,
  loadLinear,
  replaceWeight,
} from './loaded-block.js';
export { loadLinearMatrix } from './matrix-loading.js';
export {
  biasNameOf,
  configOf,
  describedModel,
  folderOf,
  openComparable,
  openModel,
  withCacheScales,
  withCheckpoint,
  withDenseWeights,
} from './model.js';
export { applyNorm, disposeNorm, type Norm } from './norm.js';
export { type PassOptions, runBlock } from './passes.js';
export { throughLinear } from './projections.js';
export { disposeTables, type PositionedBlock, type PositionTables, positionTables } from './rope.js';
export { runBlocks } from './run-blocks.js';
export { stateRows } from './state-rows.js';
export { loadTokenizer, makeTokenizer, type Tokenizer } from './tokenizer.js';
export { openPrunable } from './unknown.js';
