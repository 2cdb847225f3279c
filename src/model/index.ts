export type { Architecture, WeightTemplates } from './architecture.js';
export { architectures } from './architectures.js';
export { batchesOf, isPadded, realPositions, type TokenBatch, tokensPerBatch } from './batches.js';
export { disposeBlock, forwardBlock, type LoadedBlock, loadBlock, type Observe } from './block.js';
export type { BlockSpec, Decoder, LinearInput, LinearRole, LinearSpec, Model, RopeScaling } from './decoder.js';
export { describeModel } from './describe.js';
export { type EmbeddingOptions, embedBatches } from './embedding.js';
export { applyFinalNorm, type FinalNorm, type HeadSection, headSections, loadFinalNorm, loadHead } from './head.js';
export {
  createHiddenStates,
  DEFAULT_MEMORY_BYTES,
  type HiddenStates,
  type HiddenStatesOptions,
} from './hidden-states.js';
export { type InspectedTensor, type Inspection, type InspectOptions, inspectModel } from './inspect.js';
export { folderOf, openComparable, openModel, withCheckpoint } from './model.js';
export { type PassOptions, runBlock } from './passes.js';
export { disposeTables, type PositionTables, positionTables } from './rope.js';
export { loadTokenizer, makeTokenizer, type Tokenizer } from './tokenizer.js';
