/**
 * `npx tsx bench/memory.ts`: holds the peak memory of pruning and quantizing, each a process of its own, against what their plans
 * foretell: on models of a quarter of Mistral-7B's widths with 2, 8 and 24 blocks, and on two blocks of a checkpoint in all of
 * Mistral-7B's shapes (14.5 GB, of which the blocks from the third on and the head are holes of a sparse file). The table goes into
 * docs/memory.md. Needs a build, and 2 GB of disk under `--folder`. Linux only.
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

const { values } = parseArgs({
  options: { folder: { type: 'string', default: path.join(tmpdir(), 'birdbone-memory') } },
});
const folder = path.resolve(values.folder);
const data = path.join(folder, 'data.txt');
await mkdir(folder, { recursive: true });
await writeFile(data, (await readFile(calibration, 'utf8')).slice(0, DATA_CHARACTERS));
const measurements: Measurement[] = [];
try {
  for (const blocks of [2, 8, 24]) await measureModel(`a quarter wide, ${blocks} blocks`, quarterWidth(blocks));
  await measureModel('Mistral-7B, 2 of 32 blocks', MISTRAL_7B, 2);
} finally {
  await rm(folder, { recursive: true, force: true });
}
const table = render();
console.log(`\n${table}\n\nkept in ${keepResults({ memory: measurements })}`);
writeSection('memory', table, PAGE);
if (measurements.some(({ peakBytes, foretoldBytes }) => Math.abs(peakBytes / foretoldBytes - 1) > 0.15)) {
  process.exitCode = 1;
}

/** Measures both commands; with `realBlocks`, until they are done with so many. */
async function measureModel(name: string, shape: MistralShape, realBlocks?: number): Promise<void> {
  const model = path.join(folder, 'model');
  await writeMemoryModel(model, shape, realBlocks === undefined ? {} : { realBlocks });
  for (const command of Object.keys(COMMANDS) as Command[]) {
    const measured = { model: name, command, ...(await measure(model, command, realBlocks)) };
    measurements.push(measured);
    const { foretoldBytes, peakBytes, cpuSeconds } = measured;
    console.log(
      `${name}, ${command}: foretold ${megabytes(foretoldBytes)}, peak ${megabytes(peakBytes)}, ${cpuSeconds.toFixed(1)} s of CPU`,
    );
  }
  await rm(model, { recursive: true });
}

async function measure(model: string, command: Command, stopAfter: number | undefined) {
  const [name, ...own] = COMMANDS[command];
  const out = path.join(folder, 'out');
  const shared = ['--context', '64', '--data', data, '--limit', '1', '--monitor', 'basic', '--max-drop', '100%'];
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

function render(): string {
  const rows = measurements.map((each) => [
    each.model,
    megabytes(each.modelBytes),
    `\`${each.command}\``,
    megabytes(each.foretoldBytes),
    megabytes(each.peakBytes),
    `${(100 * (each.peakBytes / each.foretoldBytes - 1)).toFixed(1)} %`,
    megabytes(each.foretoldDiskBytes),
    each.diskBytes === undefined ? 'stopped' : megabytes(each.diskBytes),
    `${each.foretoldSeconds.toFixed(0)} s`,
    each.diskBytes === undefined ? 'stopped' : `${each.seconds.toFixed(0)} s`,
  ]);
  const header = ['model', 'weights', 'command', 'memory foretold', 'peak', 'off by', 'disk foretold', 'used'];
  return markdownTable([...header, 'time foretold', 'taken'], rows);
}
