import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { parseRecipe } from '../recipe.js';
import type { DeviceChoice } from '../tensor/index.js';
import { run } from '../waves/index.js';

/** Which sets to compare, and the work that shows the difference. */
export interface CompareOptions {
  /** Calibration sets, or texts as --calibration takes them. */
  readonly sets: readonly string[];
  readonly model: string;
  /** The text that results are measured on. */
  readonly data: string;
  readonly scheme: string;
  readonly algorithm: 'gptq' | 'awq' | 'smoothquant';
  readonly windows: number;
  readonly context: number;
  /** The first windows of the text only. */
  readonly limit?: number;
  readonly seed: number;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  /** Say what would be compared, and compute nothing. */
  readonly dryRun?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** What a model calibrated on one set comes to. */
export interface ComparedSet {
  readonly name: string;
  /** Beside the base model's on the same tokens; empty in a dry run. */
  readonly figures: Readonly<Record<string, number>>;
}

export interface CompareResult {
  readonly model: string;
  readonly data: string;
  readonly scheme: string;
  readonly algorithm: string;
  readonly baseline: Readonly<Record<string, number>>;
  /** The smallest KL divergence from the base model first. */
  readonly sets: readonly ComparedSet[];
}

/**
 * Quantizes the model once with each set and measures the results on the same text: a set is as good as what is made with it.
 * Throws `usage` for fewer than two sets, and what a run throws.
 */
export async function compareSets(options: CompareOptions): Promise<CompareResult> {
  const { sets, model, data, scheme, algorithm } = options;
  if (sets.length < 2) {
    throw new BirdboneError('usage', `There ${sets.length === 1 ? 'is one set' : 'are no sets'} to compare.`, {
      suggestions: ['birdbone calibrate --compare A.json B.json --model MODEL --data FILE'],
    });
  }
  const compared: ComparedSet[] = [];
  let baseline: CompareResult['baseline'] = {};
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-compare-'));
  try {
    for (const [index, file] of sets.entries()) {
      const name = path.basename(file);
      options.report?.({ type: 'notice', message: `${name}: set ${index + 1} of ${sets.length}.` });
      const made = options.dryRun === true ? undefined : await runWith(file, path.join(folder, `${index}`), options);
      baseline = made?.baseline ?? baseline;
      compared.push({ name, figures: made?.result ?? {} });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const kl = ({ figures }: ComparedSet) => figures['kl'] ?? 0;
  const order = compared.sort((left, right) => kl(left) - kl(right));
  return {
    model: path.basename(path.resolve(model)),
    data: path.basename(data),
    scheme,
    algorithm,
    baseline,
    sets: order,
  };
}

/** One run as the quantize command does it, with the gate off, in a folder that is thrown away. */
async function runWith(file: string, folder: string, options: CompareOptions) {
  const { model, data, scheme, algorithm, windows, context, limit, seed } = options;
  const { device, threads, memoryBytes, report, signal } = options;
  const recipe = parseRecipe(
    {
      recipe: 1,
      model,
      out: path.join(folder, 'result'),
      calibration: { file, windows, context },
      evaluation: { file: data, context, ...(limit !== undefined && { limit }) },
      maxDrop: 1,
      seed,
      steps: [{ do: 'quantize', scheme, algorithm }],
    },
    'The comparison',
  );
  return run({
    recipe,
    state: path.join(folder, 'state'),
    diffs: path.join(folder, 'diffs'),
    ...(device !== undefined && { device }),
    ...(threads !== undefined && { threads }),
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(report && { report }),
    ...(signal && { signal }),
  });
}
