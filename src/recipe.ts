import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { BirdboneError } from './errors.js';
import { type AdaptivePace, adaptivePace } from './recipe-steps/adaptive.js';
import { factorizeStep } from './recipe-steps/factorize.js';
import { healFields, healStep } from './recipe-steps/heal.js';
import { quantizeStep } from './recipe-steps/quantize.js';
import { clusterThresholds } from './recipe-steps/thresholds.js';

/** A recipe is written by hand; past a megabyte it is some other file. */
const MAX_RECIPE_BYTES = 1_048_576;

const fraction = z.number().gt(0).lt(1);

/** One pruning step. A ratio is the fraction removed. */
const pruneStep = z.strictObject({
  do: z.literal('prune'),
  /** Target sparsity of the linear weights inside the blocks; for N:M patterns 1 − N/M is the default and the most. */
  sparsity: fraction.optional(),
  metric: z.string().default('wanda'),
  pattern: z.string().default('unstructured'),
  /** Which weights compete with each other; the metric's own scope by default. */
  compare: z.enum(['row', 'layer', 'global']).optional(),
  /** What becomes of the weights that stay: refit, sparsegpt, sparsegpt-refit or alps; nothing by default. */
  solver: z.string().optional(),
  /** How the sparsity is divided: uniform (the default), owl, error or evolve over the matrices, cluster over clusters of rows. */
  thresholds: z.string().optional(),
  /** With the thresholds `cluster`. */
  clusterThresholds: clusterThresholds.optional(),
  /** What goes: single weights (the default), or whole growth plates, which make the published model smaller. */
  plates: z.enum(['weights', 'ffn', 'heads', 'experts', 'blocks', 'hidden', 'vocabulary', 'auto']).optional(),
  /** How plates are divided among the blocks: the same share of each (the default), the best anywhere, by measured sensitivity. */
  shedding: z.enum(['uniform', 'targeted', 'adaptive']).optional(),
  /** What makes up for the inputs that go: least squares in those that stay (the default), a bias, or nothing. */
  fold: z.enum(['ls', 'flap', 'none']).optional(),
  /** The engine that is to load the result; hf by default. */
  target: z.enum(['hf', 'vllm', 'llama.cpp']).optional(),
  /** Devices that the engine splits the result over; 1 by default. */
  tensorParallel: z.int().min(1).max(1024).optional(),
  /** From 0 to 1: how many of the protected plates may go all the same; 0.5 by default. */
  aggressiveness: z.number().min(0).max(1).optional(),
  waves: z.int().min(1).max(1000).default(5),
  schedule: z.enum(['constant', 'linear', 'cubic', 'adaptive']).default('cubic'),
  /** With the schedule `adaptive`, which `waves` says nothing of. */
  adaptive: adaptivePace.optional(),
  /** The smallest step in sparsity that is still tried after a wave was rolled back. */
  minStep: fraction.default(0.01),
  /** Each wave is healed before it is judged: what it removes and what is given back are kept together, or not. */
  heal: healFields.optional(),
});

/** Forms in which a result is published: our own, and those of engines. */
export const OUTPUT_FORMATS = ['native', 'compressed-tensors', 'gptq', 'awq', 'gguf'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/**
 * What to do to a model, as a file in configs/ says it. Paths are relative to the working directory.
 * Everything that decides the result's bytes is in here; where to put progress and state is not.
 */
export const recipeSchema = z.strictObject({
  recipe: z.literal(1),
  model: z.string().min(1),
  /** What the model was before it was compressed: gate and healing hold it against that. The model itself by default. */
  reference: z.string().min(1).optional(),
  out: z.string().min(1),
  /** Text for calibration: windows of `context` tokens from the file's beginning. */
  calibration: z
    .strictObject({
      file: z.string().min(1),
      windows: z.int().min(1).default(128),
      context: z.int().min(2).default(256),
    })
    .optional(),
  /** Text the gate is measured on; without it, what calibration does not see of its file. */
  evaluation: z
    .strictObject({
      file: z.string().min(1).optional(),
      protocol: z.enum(['windows', 'documents']).default('windows'),
      context: z.int().min(2).default(256),
      /** The first passages only. */
      limit: z.int().min(1).optional(),
    })
    .prefault({}),
  /** `accuracy<3% and perplexity<1.1x`; overrides maxDrop. */
  gate: z.string().min(1).optional(),
  /** The largest relative accuracy loss that is kept; 1 turns the gate off. */
  maxDrop: z.number().gte(0).lte(1).default(0.03),
  /** The whole confidence interval must be inside the gate. */
  gateConfident: z.boolean().default(false),
  /**
   * What is measured after each wave. `full`: also what needs the dense model beside the candidate, its KL divergence, the rate of
   * equal top tokens and each block's output error; `basic`: accuracy, perplexity, and what the gate names.
   */
  monitor: z.enum(['full', 'basic']).default('full'),
  seed: z.int().min(0).max(0xffff_ffff).default(0),
  /** The form of the result; `native`, and `gguf` for an `out` that ends in .gguf, unless it is named. */
  output: z
    .strictObject({
      format: z.enum(OUTPUT_FORMATS),
      /** GPUs that an engine divides each matrix over: a layout that cannot be divided so is refused before any work. */
      tensorParallel: z.int().min(1).max(1024).optional(),
    })
    .optional(),
  /** Shards of the result are at most this large. */
  maxShardBytes: z.int().min(1_000_000).default(5_000_000_000),
  steps: z.array(z.discriminatedUnion('do', [pruneStep, quantizeStep, factorizeStep, healStep])).min(1),
});

/** A checked recipe with every default filled in. */
export type Recipe = z.output<typeof recipeSchema>;
/** A recipe as somebody writes it. */
export type RecipeInput = z.input<typeof recipeSchema>;
export type Step = Recipe['steps'][number];
export type PruneStep = z.output<typeof pruneStep>;
export type { AdaptivePace } from './recipe-steps/adaptive.js';
export type { FactorizeStep } from './recipe-steps/factorize.js';
export type { HealFields, HealStep } from './recipe-steps/heal.js';
export type { QuantizeStep } from './recipe-steps/quantize.js';
export type { ClusterThresholds } from './recipe-steps/thresholds.js';

/**
 * In how many waves a step comes to its target, along which curve, and how small a part of it is still worth a wave; `adaptive`
 * where the waves themselves decide.
 */
export type Pace = Pick<PruneStep, 'waves' | 'minStep'> & {
  readonly schedule: Exclude<PruneStep['schedule'], 'adaptive'>;
  readonly adaptive?: AdaptivePace;
};

/** A step's pace; one that is whole or nothing has a single wave. */
export function paceOf(step: Step): Pace {
  if (step.do === 'prune') {
    const { waves, minStep, schedule } = step;
    if (schedule !== 'adaptive') return { waves, minStep, schedule };
    return { waves: 1, minStep, schedule: 'constant', adaptive: adaptivePace.parse(step.adaptive ?? {}) };
  }
  // A share can be approached from below; a scheme, an energy or a rank is there or not.
  const minStep = step.do === 'factorize' && step.ratio !== undefined ? step.minStep : 1;
  return { waves: 1, schedule: 'constant', minStep };
}

/** The form in which a recipe's result is published. Throws `usage` where the name of the output belongs to another form. */
export function outputFormat({ out, output }: Pick<Recipe, 'out' | 'output'>): OutputFormat {
  const isFile = out.toLowerCase().endsWith('.gguf');
  const format = output?.format ?? (isFile ? 'gguf' : 'native');
  if ((format === 'gguf') === isFile) return format;
  throw new BirdboneError(
    'usage',
    isFile
      ? `${out} is the name of a GGUF file, and the output is to be ${format}, which is a folder.`
      : `The output is to be a GGUF file, and ${out} does not end in .gguf.`,
    { suggestions: isFile ? ['Name a folder: --out out/NAME'] : [`Name a file: --out ${out}.gguf`] },
  );
}

/** Checks a recipe object and fills in the defaults. Throws `usage` that lists every wrong field. */
export function parseRecipe(input: unknown, source: string): Recipe {
  const result = recipeSchema.safeParse(input);
  const faults = result.success
    ? [...paceFaults(result.data), ...thresholdFaults(result.data)]
    : result.error.issues.map(faultText);
  if (result.success && faults.length === 0)
    return { ...result.data, steps: result.data.steps.map(withPace).map(withThresholds) };
  throw new BirdboneError(
    'usage',
    `${source} is not a valid recipe.\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    {
      suggestions: ['Compare it with configs/half.json.', 'Run birdbone plan RECIPE to see what a recipe would do.'],
    },
  );
}

function faultText(issue: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  return `${issue.path.map(String).join('.') || '(top level)'}: ${issue.message}`;
}

function paceFaults({ steps }: Recipe): string[] {
  return steps.flatMap((step, index) => {
    if (step.do !== 'prune' || step.adaptive === undefined || step.schedule === 'adaptive') return [];
    return [`steps.${index}.adaptive: has no effect with the schedule ${step.schedule}; it belongs to "adaptive"`];
  });
}

function thresholdFaults({ steps }: Recipe): string[] {
  return steps.flatMap((step, index) => {
    if (step.do !== 'prune' || step.clusterThresholds === undefined || step.thresholds === 'cluster') return [];
    const { thresholds = 'uniform' } = step;
    return [
      `steps.${index}.clusterThresholds: has no effect with the thresholds ${thresholds}; it belongs to "cluster"`,
    ];
  });
}

/** A step with thresholds of clusters, with every default filled in, as an adaptive one. */
function withThresholds(step: Step): Step {
  if (step.do !== 'prune' || step.thresholds !== 'cluster') return step;
  return { ...step, clusterThresholds: clusterThresholds.parse(step.clusterThresholds ?? {}) };
}

/** An adaptive step with every default filled in: what decides the bytes of a result is in the recipe. */
function withPace(step: Step): Step {
  if (step.do !== 'prune' || step.schedule !== 'adaptive') return step;
  return { ...step, adaptive: adaptivePace.parse(step.adaptive ?? {}) };
}

/**
 * Reads a recipe file; `overrides` (from flags) replace its fields, nested ones one by one. A `maxDrop` among them also replaces
 * the file's `gate`, which would win over it: what is typed last is what is meant.
 */
export async function loadRecipe(file: string, overrides: Partial<RecipeInput> = {}): Promise<Recipe> {
  const merged = merge(await readRecipeFile(file), overrides);
  if (isPlain(merged) && overrides.maxDrop !== undefined && overrides.gate === undefined) delete merged['gate'];
  return parseRecipe(merged, path.basename(file));
}

/** What a recipe file says, unchecked. Throws `usage` for a file that cannot be read, is too large, or is not JSON. */
export async function readRecipeFile(file: string): Promise<unknown> {
  const name = path.basename(file);
  let text: string;
  try {
    const size = (await stat(file)).size;
    if (size > MAX_RECIPE_BYTES)
      throw new BirdboneError('usage', `${name} has ${size} bytes; a recipe has at most ${MAX_RECIPE_BYTES}.`);
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof BirdboneError) throw error;
    throw new BirdboneError('usage', `Cannot read the recipe ${file}: ${(error as Error).message}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BirdboneError('usage', `${name} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function merge(base: unknown, overrides: unknown): unknown {
  if (!isPlain(base) || !isPlain(overrides)) return overrides === undefined ? base : overrides;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overrides)) {
    if (value !== undefined) merged[key] = merge(base[key], value);
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
