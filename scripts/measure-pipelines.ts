import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machine } from '../bench/machine.js';
import { convert } from '../src/conversion/index.js';
import { foundRun, type SearchResult, search } from '../src/pipelines/index.js';
import { loadRecipe, type RecipeInput } from '../src/recipe.js';
import { type RunOptions, type RunResult, run } from '../src/waves/index.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { type Candidate, type Gain, keepMeasured, writeSection } from './pipeline-results.js';
import { describeCommit } from './pruning-table.js';

/**
 * Carries out a recipe on a model, with its candidates searched first where that is asked for, and keeps what each technique bought in
 * docs/results/pipelines.json and docs/pipelines.md. Fails where 4-bit K-quants alone take more than 34 % of half precision, and where
 * the recipe's result is no smaller than they are although pruning was kept.
 *
 *   npm run measure:pipelines -- [--model fledgling|novels-5m] [--recipe quarter-size] [--search] [--windows N] [--render]
 */

const MOST_OF_HALF = 0.34;

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'fledgling' },
    recipe: { type: 'string', default: 'quarter-size' },
    search: { type: 'boolean', default: false },
    windows: { type: 'string' },
    render: { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));

/** The model with its texts: one of the repository, or of ../shared. */
function inputsOf(name: string): Pick<RecipeInput, 'model' | 'calibration' | 'evaluation'> {
  const limit = options.windows === undefined ? {} : { limit: Number(options.windows) };
  const own = path.join(root, 'models', name);
  if (existsSync(own)) {
    const [calibration, evaluation] = ['calibration.txt', 'evaluation.txt'].map((file) => path.join(own, file));
    return { model: own, calibration: { file: calibration! }, evaluation: { file: evaluation!, ...limit } };
  }
  if (sharedMissing !== undefined) throw new Error(`nothing to measure on: ${sharedMissing}`);
  const data = name.startsWith('novels') ? 'novels' : 'tinystories-1000';
  return {
    model: sharedModel(name),
    calibration: { file: sharedData(data, 'calibration.txt') },
    evaluation: { file: sharedData(data, 'eval.txt'), ...limit },
  };
}

async function measure(place: string): Promise<void> {
  const before = process.cpuUsage();
  const inputs = inputsOf(options.model);
  const half = path.join(place, 'half.gguf');
  await convert({ model: inputs.model!, out: half, dtype: 'F16' });
  const alone = await runOf('llama.cpp-4bit', inputs, path.join(place, 'alone.gguf'));
  const plain = await run(alone);
  const asked = await runOf(options.recipe, inputs, path.join(place, 'result.gguf'));
  const found = options.search ? await search(asked) : undefined;
  const result = await run(found === undefined ? asked : foundRun(asked, found));
  const { user, system } = process.cpuUsage(before);
  const sizes = await Promise.all(
    [half, alone.recipe.out, asked.recipe.out].map(async (file) => (await stat(file)).size),
  );
  const [halfBytes, aloneBytes, resultBytes] = sizes as [number, number, number];
  const gains = gainsOf(result, asked);
  const { cpu, cores, node } = machine();
  keepMeasured({
    model: options.model,
    recipe: options.recipe,
    searched: options.search,
    gate: asked.recipe.gate ?? `accuracy<${100 * asked.recipe.maxDrop}%`,
    windows: result.result['passages'] ?? 0,
    halfBytes,
    kQuants: {
      fileBytes: aloneBytes,
      ...gainOf('4-bit K-quants alone', plain.quality!.report.bytes.after, plain.result),
    },
    result: { fileBytes: resultBytes, accuracyLoss: result.result['accuracyLoss'] ?? null },
    gains,
    tried: found?.tried.map(candidateOf) ?? [],
    extraNats: found?.interaction?.extraNats ?? null,
    machine: `${cpu}, ${cores} cores, Node ${node}`,
    date: new Date().toISOString().slice(0, 10),
    commit: await describeCommit(),
    processorSeconds: Math.round((user + system) / 1e6),
  });
  const pruned = gains.length > 1 && gains[0]!.bytes < halfBytes;
  if (aloneBytes > MOST_OF_HALF * halfBytes)
    fail(`K-quants alone take ${((100 * aloneBytes) / halfBytes).toFixed(1)} % of half precision`);
  if (pruned && resultBytes >= aloneBytes) fail('what was pruned has made the file no smaller');
}

/** A recipe of configs/ on this model. */
async function runOf(recipe: string, inputs: ReturnType<typeof inputsOf>, out: string): Promise<RunOptions> {
  const file = path.join(root, 'configs', `${recipe}.json`);
  return {
    recipe: await loadRecipe(file, { ...inputs, out, monitor: 'basic' }),
    device: 'cpu',
    diffs: path.dirname(out),
  };
}

function gainsOf({ techniques = [], quality, result }: RunResult, { recipe }: RunOptions): Gain[] {
  const steps = techniques.filter(({ kept }) => kept > 0);
  if (steps.length === 0) return [gainOf(recipe.steps[0]!.do, quality!.report.bytes.after, result)];
  return steps.map(({ do: name, bytes, figures = {} }) => gainOf(name, bytes.after, figures));
}

function gainOf(name: string, bytes: number, figures: Readonly<Record<string, number>>): Gain {
  const { accuracyLoss = null, perplexityRatio = null } = figures;
  return { name, bytes, accuracyLoss, perplexityRatio };
}

function candidateOf({
  name,
  bytes,
  accuracyLoss,
  perplexityRatio,
  passages,
  pass,
  front,
}: SearchResult['tried'][number]): Candidate {
  return { name, bytes, accuracyLoss, perplexityRatio, passages, pass, front };
}

function fail(problem: string): void {
  console.error(`FAILED ${options.model}: ${problem}`);
  process.exitCode = 1;
}

if (!options.render) {
  const place = await mkdtemp(path.join(tmpdir(), 'birdbone-pipelines-'));
  try {
    await measure(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
writeSection();
