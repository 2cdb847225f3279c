/**
 * Measures how many weights one core unpacks in a second in llama.cpp for each block type, and holds the roofline's predictions
 * against llama.cpp on models of other shapes. Writes docs/results/hardware.json and the tables of docs/hardware.md:
 *
 *   npm run setup:llama && npm run compare:hardware
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from 'simple-statistics';
import { type OpenModel, openInLlama } from '../bench/llama-speed.js';
import { commit } from '../bench/machine.js';
import { markdownTable } from '../bench/record.js';
import { type LlamaShape, writeSyntheticLlama } from '../bench/synthetic-llama.js';
import { convert } from '../src/conversion/index.js';
import {
  type MachineFigures,
  measureMachine,
  overheadOf,
  predict,
  profileOfMachine,
  type Strategy,
  strategies,
  workloadOf,
} from '../src/hardware/index.js';
import { type Model, openModel } from '../src/model/index.js';

/** The shape that the rates are measured on; the predictions are tried on the others. */
const MEASURED: LlamaShape = { hidden: 1024, layers: 12, ffn: 2816, heads: 16, kvHeads: 4, headDim: 64 };
const TRIED: Readonly<Record<string, LlamaShape>> = {
  'narrow and deep, 44 M': { hidden: 512, layers: 20, ffn: 1024, heads: 8, kvHeads: 2, headDim: 64 },
  'as measured, 136 M': MEASURED,
  'wide and shallow, 196 M': { hidden: 2048, layers: 4, ffn: 5632, heads: 32, kvHeads: 8, headDim: 64 },
};
/** In an order in which each mix has one type more that is not known yet: what it is made of beside is known by then. */
const ORDER = [
  ['f16', 'F16'],
  ['q8_0', 'Q8_0'],
  ['q6_k', 'Q6_K'],
  ['q5_k_m', 'Q5_K'],
  ['q4_k_m', 'Q4_K'],
  ['q3_k_m', 'Q3_K'],
  ['q2_k', 'Q2_K'],
] as const;
const TOKENS = 32;
const ROUNDS = 7;
/** In the cache when a token is generated, on average: the prompt is short. */
const CACHED = 3 + TOKENS / 2;

const llamaStrategies = strategies.filter(({ engine }) => engine === 'llama.cpp');
const page = fileURLToPath(new URL('../docs/hardware.md', import.meta.url));
const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-hardware-'));
try {
  const machine = { ...(await measureMachine()), cores: 1 };
  console.log(
    `bandwidth ${(machine.bandwidth / 1e9).toFixed(1)} GB/s, product ${(machine.product / 1e9).toFixed(1)} GFLOP/s`,
  );
  const measured = await speedsOf(MEASURED, 'measured');
  const rates = ratesFrom(measured, machine);
  console.log(rates);
  const rows = [];
  for (const [name, shape] of Object.entries(TRIED)) {
    const speeds: Speeds = shape === MEASURED ? measured : await speedsOf(shape, `tried-${rows.length}`);
    rows.push(...comparisonsOf(name, speeds, { machine, rates }));
    await speeds.model.checkpoint.close();
  }
  await keep({ machine, rates, rows });
} finally {
  await rm(folder, { recursive: true, force: true });
}

interface Speeds {
  readonly model: Model;
  /** Tokens a second by strategy. */
  readonly tokensPerSecond: ReadonlyMap<string, number>;
}

/** A model of that shape in every mix, in llama.cpp: medians of rounds that take turns. */
async function speedsOf(shape: LlamaShape, name: string): Promise<Speeds> {
  const dense = await writeSyntheticLlama(path.join(folder, name), shape);
  const files: string[] = [];
  for (const { name: mix } of llamaStrategies) {
    const out = path.join(folder, `${name}-${mix}.gguf`);
    await convert({ model: dense, out, ...(mix !== 'f16' && { mix }) });
    files.push(out);
  }
  const { models, dispose } = await openInLlama(files);
  try {
    const seconds = models.map((): number[] => []);
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [index, model] of models.entries()) {
        const taken = await (model as OpenModel).generate(TOKENS);
        // The first round warms up.
        if (round > 0) seconds[index]!.push(taken);
      }
    }
    const speeds = llamaStrategies.map(({ name: mix }, i) => [mix, TOKENS / median(seconds[i]!)] as const);
    for (const file of files) await rm(file);
    return { model: await openModel(dense), tokensPerSecond: new Map(speeds) };
  } finally {
    await dispose();
  }
}

/** Weights a second of each type, from the times of mixes in which it is the one that is not known yet. */
function ratesFrom({ model, tokensPerSecond }: Speeds, machine: MachineFigures): Record<string, number> {
  const overhead = overheadOf(profileOfMachine(machine), model.decoder.blocks.length);
  const rates: Record<string, number> = {};
  for (const [mix, dtype] of ORDER) {
    const weights = weightsByType(model, named(mix));
    const known = [...weights].filter(([type]) => type !== dtype && rates[type] !== undefined);
    const spent = known.reduce((sum, [type, count]) => sum + count / rates[type]!, 0);
    rates[dtype] = weights.get(dtype)! / (1 / tokensPerSecond.get(mix)! - overhead - spent);
  }
  return rates;
}

/** Weights that a token is multiplied with, by the type that they are stored in. */
function weightsByType(model: Model, strategy: Strategy): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { part, dtype, rows, columns } of strategy.store(workloadOf(model), model)) {
    if (part !== 'linear' && part !== 'head') continue;
    counts.set(dtype!, (counts.get(dtype!) ?? 0) + rows * columns);
  }
  return counts;
}

function comparisonsOf(
  shape: string,
  { model, tokensPerSecond }: Speeds,
  { machine, rates }: { readonly machine: MachineFigures; readonly rates: Readonly<Record<string, number>> },
) {
  const profile = { ...profileOfMachine(machine), unpacking: { cores: 1, weightsPerCore: rates } };
  return llamaStrategies.map((strategy) => {
    const predicted = predict(model, strategy, profile, { context: CACHED, batch: 1 });
    const found = tokensPerSecond.get(strategy.name)!;
    return {
      shape,
      strategy: strategy.name,
      predicted: predicted.tokensPerSecond,
      measured: found,
      error: predicted.tokensPerSecond / found - 1,
      bound: predicted.bound,
    };
  });
}

function named(name: string): Strategy {
  return llamaStrategies.find((strategy) => strategy.name === name)!;
}

interface Found {
  readonly machine: MachineFigures;
  readonly rates: Readonly<Record<string, number>>;
  readonly rows: ReturnType<typeof comparisonsOf>;
}

async function keep({ machine, rates, rows }: Found): Promise<void> {
  const made = { date: new Date().toISOString().slice(0, 10), commit: commit(), processor: cpus()[0]!.model.trim() };
  const results = fileURLToPath(new URL('../docs/results/hardware.json', import.meta.url));
  await writeFile(results, `${JSON.stringify({ ...made, machine, rates, rows }, null, 2)}\n`);
  const origin = `*${made.date}, commit ${made.commit}, one core of ${made.processor}: ${(machine.bandwidth / 1e9).toFixed(1)} GB/s, ${(machine.product / 1e9).toFixed(1)} GFLOP/s in f32 on all cores.*`;
  const rateTable = markdownTable(
    ['type', 'weights a second'],
    Object.entries(rates).map(([dtype, rate]) => [dtype, `${(rate / 1e9).toFixed(2)} G`]),
  );
  const table = markdownTable(
    ['model', 'stored as', 'predicted, tokens/s', 'measured', 'error', 'bound by'],
    rows.map(({ shape, strategy, predicted, measured, error, bound }) => [
      ...[shape, strategy, predicted.toFixed(1), measured.toFixed(1)],
      ...[`${(100 * error).toFixed(1)} %`, bound],
    ]),
  );
  console.log(`${rateTable}\n\n${table}`);
  const text = await readFile(page, 'utf8');
  await writeFile(
    page,
    section(section(text, 'rates', `${rateTable}\n\n${origin}`), 'predictions', `${table}\n\n${origin}`),
  );
}

function section(text: string, name: string, body: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page} has no section ${name}.`);
  return `${text.slice(0, from + start.length)}\n${body}\n${text.slice(to)}`;
}
