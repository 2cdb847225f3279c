/**
 * `npx tsx bench/memory.ts`: holds the peak memory of pruning and quantizing, each a process of its own, against what their plans
 * foretell: on models of a quarter of Mistral-7B's widths with 2, 8 and 24 blocks, and on two blocks of a checkpoint in all of
 * Mistral-7B's shapes (14.5 GB, of which the blocks from the third on and the head are holes of a sparse file). Then other
 * methods on two blocks and longer texts; `--methods`: these alone. The tables go into docs/memory.md. Ends with 1 where a plan is more
 * than 15 % off. Needs a build, and 2 GB of disk under `--folder`. Linux only.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { megabytes } from './machine.js';
import { MISTRAL_7B, type MistralShape, quarterWidth, writeMemoryModel } from './memory-model.js';
import { keepResults, markdownTable, writeSection } from './record.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const bin = path.join(root, 'bin/run.js');
const reporter = pathToFileURL(path.join(root, 'bench/report-peak.mjs')).href;
const calibration = path.join(root, 'models/fledgling/calibration.txt');
const PAGE = path.join(root, 'docs/memory.md');
/** Enough of a text for one window of the gate. */
const DATA_CHARACTERS = 400;

interface Measurement {
  readonly model: string;
  readonly command: string;
  readonly modelBytes: number;
  readonly foretoldBytes: number;
  readonly foretoldDiskBytes: number;
  readonly foretoldSeconds: number;
  readonly peakBytes: number;
  /** Under the output's folder at the end, of a run that was not stopped. */
  readonly diskBytes?: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

const COMMANDS = {
  'prune --metric wanda': [
    ...['prune', '--metric', 'wanda', '--sparsity', '0.5', '--waves', '1'],
    ...['--calibration', calibration, '--calibration-windows', '2'],
  ],
  'quantize --scheme int4': ['quantize', '--scheme', 'int4'],
} as const;
type Command = keyof typeof COMMANDS;

/** What else compresses, on 16 windows of 256 tokens. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  'prune --metric wanda': ['prune', '--sparsity', '0.5', '--waves', '1'],
  'prune --metric taylor': ['prune', '--metric', 'taylor', '--sparsity', '0.5', '--waves', '1'],
  'prune --metric fisher': ['prune', '--metric', 'fisher', '--sparsity', '0.5', '--waves', '1'],
  'prune --metric hessian': ['prune', '--metric', 'hessian', '--sparsity', '0.5', '--waves', '1'],
  'prune --solver sparsegpt': ['prune', '--solver', 'sparsegpt', '--sparsity', '0.5', '--waves', '1'],
  'prune --thresholds owl': ['prune', '--thresholds', 'owl', '--sparsity', '0.5', '--waves', '1'],
  'prune --plates auto': ['prune', '--plates', 'auto', '--sparsity', '0.25', '--waves', '1'],
  'prune --heal': ['prune', '--sparsity', '0.5', '--waves', '1', '--heal', '--heal-steps', '2'],
  'quantize --algorithm gptq': ['quantize', '--scheme', 'int4', '--algorithm', 'gptq'],
  'factorize --ratio 0.2': ['factorize', '--ratio', '0.2'],
};
const METHOD_TEXT = [
  ...['--context', '256', '--calibration', calibration, '--calibration-windows', '16'],
  ...['--data', path.join(root, 'models/fledgling/evaluation.txt'), '--limit', '1'],
];

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: path.join(tmpdir(), 'birdbone-memory') },
    methods: { type: 'boolean', default: false },
  },
});
const folder = path.resolve(values.folder);
const data = path.join(folder, 'data.txt');
await mkdir(folder, { recursive: true });
await writeFile(data, (await readFile(calibration, 'utf8')).slice(0, DATA_CHARACTERS));
const [measurements, methods]: [Measurement[], Measurement[]] = [[], []];
try {
  if (!values.methods) {
    for (const blocks of [2, 8, 24]) await measureModel(`a quarter wide, ${blocks} blocks`, quarterWidth(blocks));
    await measureModel('Mistral-7B, 2 of 32 blocks', MISTRAL_7B, 2);
  }
  await measureMethods('a quarter wide, 2 blocks', quarterWidth(2));
} finally {
  await rm(folder, { recursive: true, force: true });
}
if (!values.methods) writeSection('memory', render(measurements), PAGE);
writeSection('memory-methods', renderMethods(), PAGE);
console.log(`\n${render([...measurements, ...methods])}`);
console.log(
  `\nkept in ${keepResults({ ...(!values.methods && { memory: measurements }), 'memory-methods': methods })}`,
);
if (
  [...measurements, ...methods].some(({ peakBytes, foretoldBytes }) => Math.abs(peakBytes / foretoldBytes - 1) > 0.15)
) {
  process.exitCode = 1;
}

async function measureMethods(name: string, shape: MistralShape): Promise<void> {
  const model = path.join(folder, 'model');
  await writeMemoryModel(model, shape, {});
  for (const [command, own] of Object.entries(METHODS)) {
    keep(methods, { model: name, command, ...(await measure(model, [...own, ...METHOD_TEXT])) });
  }
  await rm(model, { recursive: true });
}

function keep(all: Measurement[], measured: Measurement): void {
  all.push(measured);
  const { model, command, foretoldBytes, peakBytes, cpuSeconds } = measured;
  console.log(
    `${model}, ${command}: foretold ${megabytes(foretoldBytes)}, peak ${megabytes(peakBytes)}, ${cpuSeconds.toFixed(1)} s of CPU`,
  );
}

/** Measures both commands; with `realBlocks`, until they are done with so many. */
async function measureModel(name: string, shape: MistralShape, realBlocks?: number): Promise<void> {
  const model = path.join(folder, 'model');
  await writeMemoryModel(model, shape, realBlocks === undefined ? {} : { realBlocks });
  for (const command of Object.keys(COMMANDS) as Command[]) {
    const text = ['--context', '64', '--data', data, '--limit', '1'];
    const found = await measure(model, [...COMMANDS[command], ...text], realBlocks);
    keep(measurements, { model: name, command, ...found });
  }
  await rm(model, { recursive: true });
}

async function measure(model: string, [name, ...own]: readonly string[], stopAfter?: number) {
  const out = path.join(folder, 'out');
  const shared = ['--monitor', 'basic', '--max-drop', '100%'];
  const args = [bin, name!, model, '--out', path.join(out, name!), ...own, ...shared, '--device', 'cpu'];
  const planned = await run([...args, '--dry-run', '--json']);
  const plan = JSON.parse(planned.stdout) as {
    readonly memoryBytes: { readonly host: number };
    readonly diskBytes: { readonly result: number; readonly layers: number };
    readonly time: { readonly seconds: number };
    readonly model: { readonly parameters: number };
  };
  const start = performance.now();
  const { peakBytes, cpuSeconds } = await run([...args, '--diffs', out, '--events', '-'], stopAfter);
  const seconds = (performance.now() - start) / 1000;
  const diskBytes = stopAfter === undefined ? await bytesUnder(out) : undefined;
  await rm(out, { recursive: true });
  return {
    modelBytes: 2 * plan.model.parameters,
    foretoldBytes: plan.memoryBytes.host,
    foretoldDiskBytes: plan.diskBytes.result + plan.diskBytes.layers,
    foretoldSeconds: plan.time.seconds,
    peakBytes,
    ...(diskBytes !== undefined && { diskBytes }),
    seconds,
    cpuSeconds,
  };
}

/** Runs birdbone; with `stopAfter`, interrupts it once an edit is done with so many blocks, and expects it to stop in order. */
async function run(args: readonly string[], stopAfter?: number) {
  const peakFile = path.join(folder, 'peak');
  const child = spawn(process.execPath, ['--import', reporter, ...args], {
    env: { ...process.env, PEAK_FILE: peakFile },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  let stopped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (stopped || stopAfter === undefined || !isDone(stdout, stopAfter)) return;
    stopped = true;
    child.kill('SIGINT');
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  const expected = stopAfter === undefined ? 0 : 130;
  if (status !== expected) throw new Error(`${args.join(' ')} ended with status ${status}, not ${expected}.`);
  const [peakBytes = Number.NaN, cpuSeconds = Number.NaN] = (await readFile(peakFile, 'utf8')).split(' ').map(Number);
  return { stdout, peakBytes, cpuSeconds };
}

async function bytesUnder(place: string): Promise<number> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(({ parentPath, name }) => stat(path.join(parentPath, name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

function isDone(events: string, blocks: number): boolean {
  return events.split('\n').some((line) => {
    return /"stage":"(prune|quantize)"/.test(line) && line.includes(`"done":${blocks},`);
  });
}

function renderMethods(): string {
  const rows = methods.map((each) => [
    `\`${each.command}\``,
    megabytes(each.foretoldBytes),
    megabytes(each.peakBytes),
    offBy(each),
  ]);
  return markdownTable(['command', 'memory foretold', 'peak', 'off by'], rows);
}

function offBy({ peakBytes, foretoldBytes }: Measurement): string {
  return `${(100 * (peakBytes / foretoldBytes - 1)).toFixed(1)} %`;
}

function render(all: readonly Measurement[]): string {
  const rows = all.map((each) => [
    each.model,
    megabytes(each.modelBytes),
    `\`${each.command}\``,
    megabytes(each.foretoldBytes),
    megabytes(each.peakBytes),
    offBy(each),
    megabytes(each.foretoldDiskBytes),
    each.diskBytes === undefined ? 'stopped' : megabytes(each.diskBytes),
    `${each.foretoldSeconds.toFixed(0)} s`,
    each.diskBytes === undefined ? 'stopped' : `${each.seconds.toFixed(0)} s`,
  ]);
  const header = ['model', 'weights', 'command', 'memory foretold', 'peak', 'off by', 'disk foretold', 'used'];
  return markdownTable([...header, 'time foretold', 'taken'], rows);
}
