/**
 * `tsx bench/large.ts`: writes a Mistral-shaped checkpoint of about 3 GB, inspects, hashes, scores, prunes and diffs it, each as a
 * process of its own, and holds the peak memory of each against the bound that birdbone promises. The table goes into
 * docs/performance.md. Needs a build, and 10 GB of disk under `--folder` (the system's temporary folder by default).
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openModel } from '../src/model/index.js';
import { megabytes } from './machine.js';
import { measureNode } from './measured-process.js';
import { keepResults, markdownTable, writeSection } from './record.js';
import { writeSyntheticMistral } from './synthetic-mistral.js';

const bin = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../bin/run.js');
const FIXED_BYTES = 300_000_000;

interface Measurement {
  readonly command: string;
  readonly seconds: number;
  readonly peakBytes: number;
  readonly boundBytes: number;
}

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: path.join(tmpdir(), 'birdbone-large') },
    blocks: { type: 'string', default: '6' },
    keep: { type: 'boolean', default: false },
  },
});
const folder = path.resolve(values.folder);
const blocks = Number(values.blocks);
const model = path.join(folder, `mistral-${blocks}`);

await mkdir(folder, { recursive: true });
if (!existsSync(path.join(model, 'config.json'))) await writeSyntheticMistral(model, { blocks });
const { modelBytes, blockBytes } = await sizes();
const measurements = await measureAll();
const table = render();
console.log(`\n${table}`);
console.log(`\nkept in ${keepResults({ large: { blocks, modelBytes, blockBytes, measurements } })}`);
writeSection('large', table);
if (!values.keep) await rm(folder, { recursive: true, force: true });
if (measurements.some(({ peakBytes, boundBytes }) => peakBytes > boundBytes)) process.exitCode = 1;

/** Bytes of the weights as stored, and of the largest block in float32. */
async function sizes(): Promise<{ modelBytes: number; blockBytes: number }> {
  const { checkpoint, decoder } = await openModel(model);
  await checkpoint.close();
  const elements = decoder.blocks.map((block) => {
    return block.linears.reduce((sum, { rows, columns }) => sum + rows * columns, 2 * decoder.hidden);
  });
  const modelBytes = [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { modelBytes, blockBytes: 4 * Math.max(...elements) };
}

/**
 * The promise: 300 MB for what only reads and hashes; for the rest 1.5 × (the largest block in float32 + one batch of windows
 * through it) + 300 MB. Scoring and pruning by magnitude run no windows, so that term is 0 here.
 */
async function measureAll(): Promise<Measurement[]> {
  const scores = path.join(folder, 'scores.json');
  const out = path.join(folder, 'pruned');
  const diffs = path.join(folder, 'diffs');
  for (const leftover of [out, path.join(folder, '.birdbone'), scores])
    await rm(leftover, { recursive: true, force: true });
  const perBlock = 1.5 * blockBytes + FIXED_BYTES;
  const half = ['--sparsity', '0.5', '--metric', 'magnitude', '--waves', '1', '--max-drop', '100%', '--diffs', diffs];
  const device = ['--device', 'cpu'];
  const commands: [name: string, args: string[], boundBytes: number][] = [
    ['inspect', ['inspect', model], FIXED_BYTES],
    ['hash', ['hash', model], FIXED_BYTES],
    ['score', ['score', model, '--metric', 'magnitude', '--out', scores, ...device], perBlock],
    ['prune', ['prune', model, '--out', out, ...half, ...device], perBlock],
    ['verify', ['verify', out], FIXED_BYTES],
    ['diff', ['diff', model, out], FIXED_BYTES],
  ];
  const measured: Measurement[] = [];
  for (const [command, args, boundBytes] of commands) {
    const { seconds, peakBytes } = await measureNode([bin, ...args, '--quiet'], folder);
    measured.push({ command, seconds, peakBytes, boundBytes });
    console.log(
      `${command.padEnd(8)} ${seconds.toFixed(1)} s, peak ${megabytes(peakBytes)} of ${megabytes(boundBytes)}`,
    );
  }
  return measured;
}

function render(): string {
  const rows = measurements.map(({ command, seconds, peakBytes, boundBytes }) => [
    `\`${command}\``,
    `${seconds.toFixed(1)} s`,
    megabytes(peakBytes),
    megabytes(boundBytes),
    peakBytes <= boundBytes ? 'inside' : '**above**',
  ]);
  const title = `${blocks} blocks of Mistral-7B's shapes, bf16, ${megabytes(modelBytes)}; one block in float32 is ${megabytes(blockBytes)}.`;
  return `${title}\n\n${markdownTable(['command', 'time', 'peak memory', 'bound', ''], rows)}`;
}
