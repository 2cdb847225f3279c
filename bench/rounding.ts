/**
 * `tsx bench/rounding.ts`: how fast weights are rounded to nearest. First one thread, from the bytes that a checkpoint holds to packed codes
 * and scales: JavaScript and WebAssembly turn about, in processor time, so that what else the machine does counts little. Then a checkpoint
 * in Mistral's shapes, F16: its SHA-256 alone, reading it alone, rounded on threads as well, put into a layer of the state store as well,
 * and the whole command for each of `--whole`.
 * The tables go into docs/quantization.md. Needs a build, and 7 GB of disk under `--folder`; `--blocks 1` is the least work, 0 leaves it out.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { median } from 'simple-statistics';
import { openModel } from '../src/model/index.js';
import { canRoundRows, quantizeMatrix, roundRows, type Scheme, schemeOf, toParts } from '../src/quantization/index.js';
import { decodeToF32, encodeFromF32 } from '../src/tensor/index.js';
import { megabytes } from './machine.js';
import { measureNode } from './measured-process.js';
import { keepResults, markdownTable, writeSection } from './record.js';
import { writeSyntheticMistral } from './synthetic-mistral.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const page = path.join(root, 'docs/quantization.md');
const BOUND_BYTES = 1e9;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '2048' },
    columns: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '5' },
    schemes: { type: 'string', default: 'int4,int3,int8,fp8,nf4' },
    blocks: { type: 'string', default: '6' },
    whole: { type: 'string', default: 'int4,int8' },
    folder: { type: 'string', default: path.join(tmpdir(), 'birdbone-rounding') },
    keep: { type: 'boolean', default: false },
  },
});
const [rows, columns, rounds] = [values.rows, values.columns, values.rounds].map(Number) as [number, number, number];
const folder = path.resolve(values.folder);

const pairs = values.schemes.split(',').map(measurePair);
const pairTable = renderPairs();
console.log(pairTable);
writeSection('rounding', pairTable, page);
const stages = Number(values.blocks) > 0 ? await measureStages() : [];
if (stages.length > 0) {
  const table = renderStages();
  console.log(`\n${table}`);
  writeSection('rounding-stages', table, page);
}
console.log(`\nkept in ${keepResults({ rounding: { pairs, stages } })}`);
if (stages.some(({ peakBytes }) => peakBytes > BOUND_BYTES)) process.exitCode = 1;

/** Bytes of input that a second of one thread rounds; medians, the first pair aside, for it compiles. */
function measurePair(name: string) {
  const scheme = schemeOf(name);
  const stored = encodeFromF32(
    Float32Array.from({ length: rows * columns }, (_, i) => 0.02 * Math.sin(i * 1.618) * (1 + (i % 97) / 97)),
    'F16',
  );
  const work = worksOf(stored, scheme);
  const seconds = Array.from({ length: rounds + 1 }, () => work.map(secondsOf)).slice(1);
  const [javascript, kernel] = work.map((_, index) => stored.length / median(seconds.map((pair) => pair[index]!)));
  return { name, javascript: javascript!, kernel };
}

function worksOf(stored: Uint8Array, scheme: Scheme): (() => unknown)[] {
  const javascript = () => toParts(quantizeMatrix(decodeToF32(stored, 'F16'), rows, columns, scheme));
  if (!canRoundRows(scheme, 'F16')) return [javascript];
  return [javascript, () => roundRows({ bytes: stored, from: 'F16', columns, scheme })];
}

function secondsOf(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

interface Stage {
  readonly name: string;
  readonly inputBytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** Each stage in a process of its own, for its memory; the one that only reads is the floor of the others. */
async function measureStages(): Promise<Stage[]> {
  await mkdir(folder, { recursive: true });
  const model = path.join(folder, `mistral-${values.blocks}`);
  if (!existsSync(path.join(model, 'config.json')))
    await writeSyntheticMistral(model, { blocks: Number(values.blocks), dtype: 'F16' });
  const { linearBytes, allBytes } = await sizesOf(model);
  const out = path.join(folder, 'out');
  const diffs = path.join(folder, 'diffs');
  const whole = (scheme: string) => [
    ...[path.join(root, 'bin/run.js'), 'quantize', model, '--out', out, '--scheme', scheme],
    ...['--max-drop', '100%', '--diffs', diffs, '--device', 'cpu', '--quiet'],
  ];
  const stage = await bundleStage();
  const part = (name: string) => [stage, name, model];
  const works: [name: string, args: string[], inputBytes: number][] = [
    ['SHA-256 of all tensors', part('hash'), allBytes],
    ['reading the weights', part('read'), linearBytes],
    ['… and rounding them on threads', part('round'), linearBytes],
    ['… and storing them as a layer', part('store'), linearBytes],
    ...values.whole.split(',').map((scheme): [string, string[], number] => {
      return [`\`quantize --scheme ${scheme}\`, whole: hashes, layer, publication, diff`, whole(scheme), allBytes];
    }),
  ];
  const measured: Stage[] = [];
  try {
    for (const [name, args, inputBytes] of works) {
      for (const leftover of [out, path.join(folder, '.birdbone')])
        await rm(leftover, { recursive: true, force: true });
      const { seconds, cpuSeconds, peakBytes } = await measureNode(args, root);
      measured.push({ name, inputBytes, seconds, cpuSeconds, peakBytes });
      console.log(`${name}: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU, peak ${megabytes(peakBytes)}`);
    }
  } finally {
    await rm(stage);
  }
  if (!values.keep) await rm(folder, { recursive: true, force: true });
  return measured;
}

/** The stages as one script that starts as the command does; it has to lie where the package's imports are found. */
async function bundleStage(): Promise<string> {
  const outfile = path.join(root, 'dist/bench-rounding-stage.mjs');
  await build({
    entryPoints: [path.join(root, 'bench/parts/rounding-stage.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    external: ['#*'],
    logLevel: 'warning',
  });
  return outfile;
}

/** Bytes of the linear weights, which are rounded, and of everything. */
async function sizesOf(at: string): Promise<{ readonly linearBytes: number; readonly allBytes: number }> {
  const { checkpoint, decoder } = await openModel(at);
  await checkpoint.close();
  const bytesOf = (name: string) => checkpoint.tensors.get(name)!.byteLength;
  const linears = decoder.blocks.flatMap((block) => block.linears.map(({ weight }) => bytesOf(weight)));
  const all = [...checkpoint.tensors.keys()].map(bytesOf);
  return { linearBytes: sum(linears), allBytes: sum(all) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function renderPairs(): string {
  const speed = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB/s`;
  const lines = pairs.map(({ name, javascript, kernel }) => [
    name,
    speed(javascript),
    kernel === undefined ? '–' : speed(kernel),
    kernel === undefined ? '' : `${(kernel / javascript).toFixed(1)} ×`,
  ]);
  return markdownTable(['scheme', 'JavaScript', 'WebAssembly', ''], lines);
}

function renderStages(): string {
  const lines = stages.map(({ name, inputBytes, seconds, cpuSeconds, peakBytes }) => [
    name,
    `${seconds.toFixed(1)} s`,
    `${cpuSeconds.toFixed(1)} s`,
    `${(inputBytes / 1e9 / seconds).toFixed(2)} GB/s`,
    `${(inputBytes / 1e9 / cpuSeconds).toFixed(2)} GB/s`,
    megabytes(peakBytes),
  ]);
  const title = `${values.blocks} blocks of Mistral-7B's shapes, F16, ${megabytes(stages.at(-1)!.inputBytes)}; stages of int4 in groups of 64; on ${availableParallelism()} cores.`;
  const header = ['work', 'time', 'CPU time', 'input a second', 'input for a second of CPU time', 'peak memory'];
  return `${title}\n\n${markdownTable(header, lines)}`;
}
