import { z } from 'zod';

const share = z.number().min(0).max(1);

/** A cluster's sparsity stays between these. */
const sparsityBounds = z
  .strictObject({ least: share.optional(), most: share.optional() })
  .refine(({ least = 0, most = 1 }) => least <= most, 'the least is above the most');

/** How thresholds of clusters are found, of a step with the thresholds `cluster` (docs/thresholds.md). */
export const clusterThresholds = z
  .strictObject({
    /** Clusters of each matrix's rows, or of each network's channels; `auto`: as many as their quality says. */
    clusters: z.union([z.int().min(1).max(64), z.literal('auto')]).default(4),
    /** What neurons are grouped by: what they give over the calibration text, their weights, or both. */
    clusterBy: z.enum(['functional', 'structural', 'both']).default('functional'),
    /** kmeans, minibatch, dbscan or hierarchical. */
    clusterMethod: z.string().min(1).default('kmeans'),
    /** No cluster becomes less sparse, or sparser. */
    least: share.default(0),
    most: share.default(0.99),
    /**
     * By the name of a matrix or of a cluster of it (`model.layers.0.mlp.up_proj.weight#2`), `*` for anything: a sparsity, or bounds. The
     * last that fits counts.
     */
    overrides: z.record(z.string().min(1), z.union([share, sparsityBounds])).optional(),
    /** Generations of the search at most, candidates of each, and generations without gain after which it ends. */
    generations: z.int().min(0).max(10_000).default(40),
    offspring: z.int().min(1).max(1024).default(16),
    patience: z.int().min(1).max(10_000).default(8),
    /** What thresholds far from the target cost: 0 is nothing, 1 as much as all of what is removed. */
    regularization: z.number().min(0).max(10).default(0.02),
  })
  .refine(({ least, most }) => least <= most, 'the least is above the most');

export type ClusterThresholds = z.output<typeof clusterThresholds>;
