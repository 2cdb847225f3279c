export { BlockEvidence, type Gram, type InputEvidence, type Moments } from './block-evidence.js';
export type { PassContext } from './block-inputs.js';
export { type CollectOptions, collectEvidence } from './collect.js';
export { collectGradients } from './collect-gradients.js';
export { collectExpertOutputs, type ExpertOutput } from './expert-outputs.js';
export type { BlockGradients, WeightGradients } from './gradient-evidence.js';
export { EVIDENCE_KINDS, type EvidenceKind, GRADIENT_KINDS, type GradientKind } from './kinds.js';
