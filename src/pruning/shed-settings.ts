import { BirdboneError } from '../errors.js';
import { TARGETS, type TargetName } from '../plates/index.js';
import type { Compensation, SheddingPattern, Target, WidthKind } from '../shedding/index.js';
import type { ThresholdSettings } from './threshold-settings.js';

/** What a step that sheds plates leaves to choose, as a recipe has it. */
export interface ShedSettings {
  readonly plates?: 'weights' | 'ffn' | 'heads' | 'experts' | 'blocks' | 'hidden' | 'vocabulary' | 'auto' | undefined;
  /** Fraction of the blocks' parameters that goes. */
  readonly sparsity?: number | undefined;
  readonly shedding?: SheddingPattern | undefined;
  readonly fold?: 'ls' | 'flap' | 'none' | undefined;
  readonly target?: TargetName | undefined;
  readonly tensorParallel?: number | undefined;
  readonly aggressiveness?: number | undefined;
  /** Of single weights; nothing here heeds them. */
  readonly pattern?: string | undefined;
  readonly compare?: string | undefined;
  readonly solver?: string | undefined;
  readonly thresholds?: string | undefined;
  readonly clusterThresholds?: ThresholdSettings | undefined;
}

/** The same with every default filled in. */
export interface ShedRules {
  readonly plates: 'ffn' | 'heads' | 'experts' | 'blocks' | 'hidden' | 'auto';
  readonly sparsity: number;
  readonly shedding: SheddingPattern;
  readonly compensation: Compensation;
  readonly target: Target;
  readonly aggressiveness: number;
  /** Where the channels of a network are divided by thresholds of clusters. */
  readonly clusterThresholds?: ThresholdSettings;
}

/** The kinds of plates that narrow blocks, by what `--plates` calls them. */
export const WIDTH_KINDS: Readonly<Partial<Record<ShedRules['plates'], readonly WidthKind[]>>> = {
  ffn: ['ffn-channel'],
  heads: ['kv-group'],
  auto: ['kv-group', 'ffn-channel'],
};

const DEFAULT_AGGRESSIVENESS = 0.5;

/** What settings mean. Throws `usage` for what a step with plates cannot heed, or lacks. */
export function shedRules(settings: ShedSettings): ShedRules {
  const {
    plates = 'weights',
    sparsity,
    shedding = 'uniform',
    fold = 'ls',
    target = 'hf',
    tensorParallel: shards = 1,
  } = settings;
  if (plates === 'weights' || plates === 'vocabulary') throw new RangeError(`a step of ${plates} narrows no block`);
  if (sparsity === undefined) throw noSparsity(plates);
  refuseOfWeights(settings, plates);
  if (shards > 1 && !TARGETS[target].sharded) throw notSharded(target, shards);
  const rules = { plates, sparsity, shedding, target: { rules: TARGETS[target], shards } };
  refuseFold(settings, plates);
  return {
    ...rules,
    compensation: fold,
    aggressiveness: settings.aggressiveness ?? DEFAULT_AGGRESSIVENESS,
    ...(settings.thresholds === 'cluster' && { clusterThresholds: settings.clusterThresholds ?? {} }),
  };
}

/** Throws `usage` for a step of single weights that says something of plates: it would be without effect. */
export function refuseWithoutPlates(settings: ShedSettings): void {
  const { shedding, fold, target, tensorParallel, aggressiveness } = settings;
  const flags = { '--shedding': shedding, '--fold': fold, '--target': target, '--tp': tensorParallel };
  const given = Object.entries({ ...flags, '--aggressiveness': aggressiveness }).find(
    ([, value]) => value !== undefined,
  );
  if (given === undefined) return;
  throw new BirdboneError(
    'usage',
    `${given[0]} ${given[1]} has no effect on single weights. It is allowed together with --plates.`,
    {
      suggestions: ['Shed whole plates: --plates auto', `Leave ${given[0]} out.`],
    },
  );
}

/** Throws `usage` for what is of single weights, in a step of plates. */
export function refuseOfWeights(
  { pattern = 'unstructured', compare, solver, thresholds }: ShedSettings,
  plates: string,
): void {
  const flags = {
    '--pattern': pattern === 'unstructured' ? undefined : pattern,
    '--compare': compare,
    '--solver': solver,
    '--thresholds': thresholds === 'cluster' && plates === 'ffn' ? undefined : thresholds,
  };
  const given = Object.entries(flags).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  throw new BirdboneError(
    'usage',
    `${given[0]} ${given[1]} is of single weights, and --plates ${plates} sheds whole plates.`,
    {
      suggestions: [`Leave ${given[0]} out.`, 'Remove single weights: --plates weights'],
    },
  );
}

/** Experts, blocks and hidden dimensions are dropped: nothing of what they carried can be had from what stays. */
function refuseFold({ fold }: ShedSettings, plates: ShedRules['plates']): void {
  if (fold === undefined || fold === 'none' || WIDTH_KINDS[plates] !== undefined) return;
  throw new BirdboneError('usage', `--fold ${fold} has no effect on --plates ${plates}: nothing makes up for those.`, {
    suggestions: ['Leave --fold out.', 'Shed channels and heads: --plates auto'],
  });
}

function noSparsity(plates: string): BirdboneError {
  return new BirdboneError('usage', `--plates ${plates} leaves open how much to shed.`, {
    suggestions: ["Shed a fifth of the blocks' parameters: --sparsity 0.2"],
  });
}

function notSharded(target: TargetName, shards: number): BirdboneError {
  return new BirdboneError(
    'usage',
    `--tp ${shards} has no effect: --target ${target} does not split heads and channels over devices.`,
    {
      suggestions: ['Leave --tp out.', 'Make it for an engine that does: --target vllm'],
    },
  );
}
