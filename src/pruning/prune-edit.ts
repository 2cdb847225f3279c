import type { LayerPlan } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type ImportanceMetric, metrics, needsText } from '../importance/index.js';
import type { Model } from '../model/index.js';
import { type Comparison, type Pattern, parsePattern } from '../sparsity/index.js';
import { pruneAcrossBlocks } from './across-blocks.js';
import { pruneBlockByBlock } from './block-by-block.js';
import type { Edit, EditContext } from './edit.js';

/** What a pruning step leaves to choose, resolved. */
export interface PruneSettings {
  readonly metric: string;
  readonly pattern: string;
  /** May be left out where the pattern says it. */
  readonly sparsity?: number | undefined;
  /** The metric's own scope when absent. */
  readonly compare?: Comparison | undefined;
}

/** The parts of a pruning step that the passes below need. */
export interface PruneParts {
  readonly metric: ImportanceMetric;
  readonly pattern: Pattern;
  readonly compare: Comparison;
}

/** An edit that only zeroes linear weights inside the blocks; embeddings, head and norms stay as they are. */
export async function pruneEdit(settings: PruneSettings): Promise<Edit> {
  const metric = await metrics.load(settings.metric);
  const pattern = await parsePattern(settings.pattern);
  if (pattern.kind === 'fixed' && settings.compare !== undefined)
    throw nothingToCompare(pattern.name, settings.compare);
  const parts: PruneParts = {
    metric,
    pattern,
    compare: settings.compare ?? metric.scope,
  };
  return {
    needsCalibration: needsText(metric),
    target: targetOf(parts.pattern, settings.sparsity),
    plan,
    propose: (context) => propose(parts, context),
  };
}

function nothingToCompare(pattern: string, compare: Comparison): BirdboneError {
  return new BirdboneError(
    'usage',
    `The pattern ${pattern} compares weights within its own groups, not by ${compare}.`,
    {
      suggestions: ['Leave --compare out.', `Compare by ${compare} without groups: --pattern unstructured`],
    },
  );
}

function targetOf(pattern: Pattern, sparsity: number | undefined): number {
  if (pattern.kind === 'free') {
    if (sparsity !== undefined) return sparsity;
    throw new BirdboneError('usage', `The pattern ${pattern.name} leaves open how much to remove.`, {
      suggestions: ['Remove half of the weights: --sparsity 0.5'],
    });
  }
  if (sparsity === undefined || sparsity <= pattern.sparsity) return sparsity ?? pattern.sparsity;
  throw new BirdboneError(
    'usage',
    `The pattern ${pattern.name} removes ${pattern.sparsity} of the weights, not ${sparsity}.`,
    {
      suggestions: [`Leave --sparsity out, or ask for at most ${pattern.sparsity}.`],
    },
  );
}

function plan(model: Model): LayerPlan {
  const masks = model.decoder.blocks.flatMap((block) =>
    block.linears.map((linear) => ({ name: linear.weight, elements: linear.rows * linear.columns })),
  );
  return { masks, values: [] };
}

function propose(parts: PruneParts, context: EditContext): Promise<void> {
  const { compare, ...rest } = parts;
  // A fixed pattern fills its own groups; there is nothing to compare across matrices.
  if (compare === 'global' && parts.pattern.kind === 'free') return pruneAcrossBlocks(parts.metric, context);
  return pruneBlockByBlock({ ...rest, compare: compare === 'layer' ? 'layer' : 'row' }, context);
}
