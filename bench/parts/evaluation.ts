import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { median } from 'simple-statistics';
import { type Benchmark, benchmark } from '../../src/benchmarking/index.js';
import { convert } from '../../src/conversion/index.js';
import { markdownTable } from '../record.js';
import { type PartOptions, partOf } from './part.js';

const root = path.resolve(import.meta.dirname, '../..');
const MODELS = ['models/fledgling', '../shared/models/tinystories-656k', '../shared/models/novels-5m'];
const CONTEXT = 256;
const WINDOWS = 16;
const REPEATS = 7;

interface Evaluation {
  readonly model: string;
  readonly mix: string;
  readonly tokensPerSecond: number;
  readonly llamaTokensPerSecond: number;
  /** Median over rounds; above 1 is faster than llama.cpp. */
  readonly ratio: number;
}

export default partOf('Evaluation against llama.cpp', evaluation, renderEvaluation);

/**
 * Tokens that go through a GGUF in a second, here with every prediction scored, in llama.cpp as prompts whose logits nobody reads
 * but the last: F16, and Q4_K_M. On one core unless told otherwise, as llama.cpp's threads wait for each other in busy loops. Needs
 * `npm run setup:llama` and a build.
 */
async function evaluation({ threads = 1 }: PartOptions): Promise<Evaluation[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-evaluation-'));
  try {
    const found: Evaluation[] = [];
    for (const at of MODELS.map((model) => path.resolve(root, model))) {
      const name = path.basename(at);
      if (!existsSync(path.join(at, 'config.json'))) {
        console.log(`  ${name} is not here: left out`);
        continue;
      }
      for (const mix of ['f16', 'q4_k_m']) {
        const file = path.join(folder, `${name}-${mix}.gguf`);
        await convert({ model: at, out: file, ...(mix === 'f16' ? { dtype: 'F16' } : { mix }) });
        const row = { model: name, mix, ...speedsOf(await measure(file, threads)) };
        console.log(
          `  ${name} ${mix}: ${row.tokensPerSecond.toFixed(0)}, llama.cpp ${row.llamaTokensPerSecond.toFixed(0)}`,
        );
        found.push(row);
        await rm(file);
      }
    }
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function measure(model: string, threads: number): Promise<Benchmark> {
  return benchmark({
    model,
    engine: 'both',
    llamaFolder: path.join(root, 'test/llama'),
    context: CONTEXT,
    windows: WINDOWS,
    generated: 1,
    repeats: REPEATS,
    seed: 1,
    device: 'cpu',
    threads,
  });
}

function speedsOf({ models }: Benchmark): Pick<Evaluation, 'tokensPerSecond' | 'llamaTokensPerSecond' | 'ratio'> {
  const [ours, theirs] = ['birdbone', 'llama.cpp'].map((engine) => {
    return models[0]!.engines.find((each) => each.engine === engine)!;
  });
  const ratios = ours!.rounds.map(({ promptTokensPerSecond }, i) => {
    return promptTokensPerSecond / theirs!.rounds[i]!.promptTokensPerSecond;
  });
  return {
    tokensPerSecond: ours!.promptTokensPerSecond.median,
    llamaTokensPerSecond: theirs!.promptTokensPerSecond.median,
    ratio: median(ratios),
  };
}

function renderEvaluation(rows: readonly Evaluation[]): string {
  return markdownTable(
    ['model', 'stored as', 'ours, tokens/s', 'llama.cpp, tokens/s', 'ratio'],
    rows.map(({ model, mix, tokensPerSecond, llamaTokensPerSecond, ratio }) => {
      return [model, mix, tokensPerSecond.toFixed(0), llamaTokensPerSecond.toFixed(0), ratio.toFixed(2)];
    }),
  );
}
