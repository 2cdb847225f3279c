export { backwardBlock, type WeightParts } from './backward-block.js';
export { BlockEvidence, type Gram, type InputEvidence, type Moments } from './block-evidence.js';
export { BlockInputs, type PassContext, type UseBlock } from './block-inputs.js';
export { type CollectOptions, collectEvidence } from './collect.js';
export { collectGradients } from './collect-gradients.js';
export type { BlockGradients, WeightGradients } from './gradient-evidence.js';
export { EVIDENCE_KINDS, type EvidenceKind, GRADIENT_KINDS, type GradientKind } from './kinds.js';
export { type Predictions, predictionsOf, rowsAt, scattered } from './predictions.js';
export { vectorJacobian } from './vector-jacobian.js';
