/** What ggml tries where errors are weighed by an importance matrix. Source: ggml-quants.c (calls of `make_qkx3_quants`). */
export const WEIGHTED_TRIALS = { first: -0.9, step: 0.05, trials: 36, absolute: false } as const;
