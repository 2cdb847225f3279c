export { BlockEvidence, type Gram, type InputEvidence, type Moments } from './block-evidence.js';
export { type CollectOptions, collectEvidence } from './collect.js';
export type { BlockGradients, WeightGradients } from './gradient-evidence.js';
export { EVIDENCE_KINDS, type EvidenceKind, GRADIENT_KINDS, type GradientKind } from './kinds.js';
