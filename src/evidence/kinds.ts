/**
 * What a forward pass over calibration text can tell of a block's inputs:
 * `norms` ‖X_j‖₂, `moments` mean and variance of X_j, `abs-means` mean |X_j|, `abs-maxima` max |X_j|, `gram` Σ x xᵀ; docs/evidence.md has the
 * formulae and what each costs.
 */
export const EVIDENCE_KINDS = ['norms', 'moments', 'abs-means', 'abs-maxima', 'gram'] as const;
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];

/** What a backward pass can tell of a block's weights: the mean loss's `gradient`, and the diagonal of the empirical `fisher` matrix. */
export const GRADIENT_KINDS = ['gradient', 'fisher'] as const;
export type GradientKind = (typeof GRADIENT_KINDS)[number];
