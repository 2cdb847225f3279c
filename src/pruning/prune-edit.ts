import { type Allocation, allocations } from '../allocation/index.js';
import type { LayerPlan } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type ImportanceMetric, metrics } from '../importance/index.js';
import type { Model } from '../model/index.js';
import { type Solver, solvers } from '../solvers/index.js';
import { type Comparison, type Pattern, parsePattern } from '../sparsity/index.js';
import { pruneAcrossBlocks } from './across-blocks.js';
import { type AllocationRules, allocate } from './allocate.js';
import { pruneBlockByBlock, usesText } from './block-by-block.js';
import { clusterThresholds } from './cluster-thresholds.js';
import type { Edit, EditContext, Proposal, ProposalDetails } from './edit.js';
import { prunableLinears, prunableWeights, type RemovalSettings, removals } from './plan-masks.js';
import { replacedTensor } from './replaced-tensor.js';
import { type EditCost, NO_GRAMS, solverCost } from './solver-cost.js';
import { thresholdCost } from './threshold-cost.js';
import type { ThresholdSettings } from './threshold-settings.js';

/** What a pruning step leaves to choose, resolved. */
export interface PruneSettings {
  readonly metric: string;
  readonly pattern: string;
  /** May be left out where the pattern says it. */
  readonly sparsity?: number | undefined;
  /** The metric's own scope when absent. */
  readonly compare?: Comparison | undefined;
  /** What becomes of the weights that stay; nothing by default. */
  readonly solver?: string | undefined;
  /** How the sparsity is divided over the matrices; the same everywhere by default. */
  readonly thresholds?: string | undefined;
  /** How thresholds of clusters are found, where they are. */
  readonly clusterThresholds?: ThresholdSettings | undefined;
}

/** The parts of a pruning step that the passes below need. */
export interface PruneParts {
  readonly metric: ImportanceMetric;
  readonly pattern: Pattern;
  readonly compare: Comparison;
  readonly solver: Solver;
  readonly allocation: Allocation;
  readonly clusterThresholds: ThresholdSettings;
}

/**
 * An edit that removes linear weights inside the blocks, and with a solver corrects those that stay; embeddings, head and norms
 * stay as they are.
 */
export async function pruneEdit(settings: PruneSettings): Promise<Edit> {
  const metric = await metrics.load(settings.metric);
  const pattern = await parsePattern(settings.pattern);
  const name = settings.solver ?? 'none';
  const solver = await solvers.load(name);
  const thresholds = settings.thresholds ?? 'uniform';
  const allocation = await allocations.load(thresholds);
  if (pattern.kind === 'fixed' && settings.compare !== undefined)
    throw nothingToCompare(pattern.name, settings.compare);
  if (solver.kind !== 'mask-only' && settings.compare === 'global') throw notAcrossMatrices(name);
  if (solver.kind === 'prunes' && settings.metric !== DEFAULT_METRIC) throw ownRanking(name, settings.metric);
  if (allocation.kind !== 'even' && (pattern.kind === 'fixed' || settings.compare === 'global')) {
    throw nothingToDivide(thresholds, pattern.kind === 'fixed' ? `The pattern ${pattern.name}` : '--compare global');
  }
  // A solver that chooses ranks the weights of a block of columns, or of the matrix, together.
  const scope = solver.kind === 'prunes' ? 'layer' : metric.scope;
  const { compare = scope, clusterThresholds = {} } = settings;
  const parts: PruneParts = { metric, pattern, solver, allocation, compare, clusterThresholds };
  return {
    needsCalibration: usesText(parts) || allocation.kind !== 'even',
    target: targetOf(parts.pattern, settings.sparsity),
    rankedBy: solver.kind === 'prunes' ? name : settings.metric,
    ...(isWithinRows(parts) && { ranksWithinRows: true }),
    cost: (model, tokens) => costOf(parts, model, tokens),
    plan: (model) => plan(model, name, solver),
    propose: (context) => propose(parts, context),
  };
}

/** What a step has when nobody chose one (recipe.ts). */
const DEFAULT_METRIC = 'wanda';

function notAcrossMatrices(solver: string): BirdboneError {
  return new BirdboneError(
    'usage',
    `The solver ${solver} takes one matrix after the other: --compare global, which ranks all of them together, is not allowed with it.`,
    { suggestions: ['Compare within each matrix: --compare layer', 'Keep the weights as they are: --solver none'] },
  );
}

function ownRanking(solver: string, metric: string): BirdboneError {
  return new BirdboneError(
    'usage',
    `The solver ${solver} chooses weights by its own criterion: --metric ${metric} would be without effect.`,
    { suggestions: ['Leave --metric out.', `Correct the weights that ${metric} keeps: --solver refit`] },
  );
}

function nothingToDivide(thresholds: string, reason: string): BirdboneError {
  return new BirdboneError(
    'usage',
    `${reason} leaves nothing to divide over the matrices: --thresholds ${thresholds} is not allowed with it.`,
    {
      suggestions: [
        'Leave --thresholds out.',
        'Compare within rows of any sparsity: --pattern unstructured --compare row',
      ],
    },
  );
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

/** Whether each row's mask follows from the row alone (`maskScores`). */
function isWithinRows({ solver, allocation, pattern, compare }: PruneParts): boolean {
  return solver.kind === 'mask-only' && allocation.kind === 'even' && (pattern.kind === 'fixed' || compare === 'row');
}

function costOf(parts: PruneParts, model: Model, tokens: number): EditCost {
  const { metric, allocation, clusterThresholds: settings } = parts;
  const solving = solvingCost(parts, model, tokens);
  const kinds = (['gradient', 'fisher'] as const).filter((kind) => metric.needs.includes(kind));
  const windows = kinds.includes('fisher') ? { windows: 1 } : {};
  const searching = allocation.kind === 'clustered' ? thresholdCost(model, settings, tokens).flops : 0;
  const backwards = kinds.length > 0 ? GRADIENT_FLOPS * tokens * prunableWeights(model) : 0;
  return {
    ...solving,
    flops: solving.flops + searching + backwards,
    ...(kinds.length > 0 && { gradients: { kinds: kinds.length, ...windows } }),
  };
}

function solvingCost({ solver, metric }: PruneParts, model: Model, tokens: number): EditCost {
  if (solver.kind !== 'mask-only') return solverCost(model, solver.cost, tokens);
  return metric.needs.includes('inverse-hessian')
    ? solverCost(model, INVERSE_DIAGONAL, tokens)
    : { flops: 0, ...NO_GRAMS };
}

/** A weight and token: forward through the model, forward again block by block, and back, for inputs and for weights. */
const GRADIENT_FLOPS = 8;

/** Of a factorization and of the inverse's diagonal. */
const INVERSE_DIAGONAL = { perInput: (columns: number) => columns ** 3, perMatrix: () => 0 };

/** Throws `unsupported` where a solver cannot take on a matrix: before any work. */
function plan(model: Model, name: string, solver: Solver): LayerPlan {
  const linears = model.decoder.blocks.flatMap(({ index }) => prunableLinears(model, index));
  if (solver.kind === 'mask-only') {
    return {
      masks: linears.map(({ weight, rows, columns }) => ({ name: weight, elements: rows * columns })),
      values: [],
    };
  }
  if (solver.kind === 'prunes') for (const { weight, columns } of linears) solver.checkColumns?.(weight, columns);
  return { masks: [], values: linears.map((linear) => replacedTensor(model, linear, name)) };
}

async function propose(parts: PruneParts, context: EditContext): Promise<Proposal | undefined> {
  const { metric, pattern, compare, solver } = parts;
  // A fixed pattern fills its own groups; there is nothing to compare across matrices.
  if (compare === 'global' && pattern.kind === 'free') {
    await pruneAcrossBlocks(metric, context);
    return undefined;
  }
  const { model, target } = context;
  const scope = compare === 'layer' ? 'layer' : 'row';
  const { details, ...division } =
    pattern.kind === 'free' ? await divided(parts, { pattern, compare: scope }, context) : {};
  const rules = { metric, solver, removals: removals(model, { pattern, compare: scope, target, ...division }) };
  await pruneBlockByBlock(rules, context);
  return details && { details };
}

/** How the sparsity is divided, and what there is to say of that; nothing where it is the same everywhere. */
async function divided(
  { allocation, clusterThresholds: settings }: PruneParts,
  rules: AllocationRules,
  context: EditContext,
): Promise<Pick<RemovalSettings, 'counts' | 'clustered'> & { readonly details?: ProposalDetails }> {
  switch (allocation.kind) {
    case 'even':
      return {};
    case 'measured':
      return { counts: await allocate(allocation, rules, context) };
    case 'clustered': {
      const { removals: clustered, details } = await clusterThresholds(settings, rules, context);
      return { clustered, details };
    }
  }
}
