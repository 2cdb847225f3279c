/**
 * `tsx bench/large-solver.ts`: prunes a Mistral-shaped checkpoint with a solver, as a process of its own, and holds its peak
 * memory against the bound for methods that need Gram matrices. The table goes into docs/solvers.md. Needs 6 GB of disk under
 * `--folder` (the system's temporary folder by default).
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openModel, tokensPerBatch } from '../src/model/index.js';
import { openDevice } from '../src/tensor/index.js';
import { megabytes } from './machine.js';
import { measureNode } from './measured-process.js';
import { keepResults, markdownTable, writeSection } from './record.js';
import { writeSyntheticMistral } from './synthetic-mistral.js';

const CONTEXT = 256;
const FIXED_BYTES = 300_000_000;
const here = path.dirname(fileURLToPath(import.meta.url));

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: path.join(tmpdir(), 'birdbone-large') },
    blocks: { type: 'string', default: '2' },
    windows: { type: 'string', default: '16' },
    solver: { type: 'string', default: 'sparsegpt' },
    pattern: { type: 'string', default: '2:4' },
    keep: { type: 'boolean', default: false },
  },
});
const folder = path.resolve(values.folder);
const model = path.join(folder, `mistral-${values.blocks}`);
await mkdir(folder, { recursive: true });
if (!existsSync(path.join(model, 'config.json'))) await writeSyntheticMistral(model, { blocks: Number(values.blocks) });
const bound = await boundOf();
const state = path.join(folder, 'state');
await rm(state, { recursive: true, force: true });
const load = loadavg()[0]!;
const script = path.join(here, 'solve-model.ts');
const args = ['--import', 'tsx', script, model, values.solver, values.pattern, values.windows, state];
const { peakBytes, stdout } = await measureNode(args, path.resolve(here, '..'));
const { seconds, processorSeconds, notices } = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
  seconds: number[];
  processorSeconds: number[];
  notices: string[];
};
const table = render();
console.log(`\n${table}`);
const { solver, pattern, windows } = values;
const kept = keepResults({
  largeSolver: { solver, pattern, windows, load, seconds, processorSeconds, notices, peakBytes, ...bound },
});
console.log(`\nkept in ${kept}`);
writeSection('solver', table, path.resolve(here, '../docs/solvers.md'));
if (!values.keep) await rm(folder, { recursive: true, force: true });
if (peakBytes > bound.boundBytes) process.exitCode = 1;

/** 3 × in² × 4 bytes of the widest input + 1.5 × (the largest block in float32 + one batch through it) + 300 MB. */
async function boundOf() {
  const { checkpoint, decoder } = await openModel(model);
  await checkpoint.close();
  const device = await openDevice('cpu');
  const tokens = tokensPerBatch(decoder, CONTEXT, device);
  await device.close();
  const linears = decoder.blocks.flatMap((block) => block.linears);
  const blockBytes = (4 * linears.reduce((sum, { rows, columns }) => sum + rows * columns, 0)) / decoder.blocks.length;
  const batchBytes = 4 * tokens * Math.max(decoder.ffn, decoder.hidden, decoder.heads * CONTEXT);
  const gramBytes = 4 * Math.max(...linears.map(({ columns }) => columns)) ** 2;
  return {
    blockBytes,
    batchBytes,
    gramBytes,
    boundBytes: 3 * gramBytes + 1.5 * (blockBytes + batchBytes) + FIXED_BYTES,
  };
}

function render(): string {
  const { blockBytes, batchBytes, gramBytes, boundBytes } = bound;
  const title =
    `${values.blocks} blocks of Mistral-7B's shapes, ${values.windows} windows of ${CONTEXT} tokens, ${values.pattern}. One block in float32 is ` +
    `${megabytes(blockBytes)}, one batch ${megabytes(batchBytes)}, the widest Gram matrix ${megabytes(gramBytes)}; load of the machine before: ${load.toFixed(1)}.`;
  const row = [
    `\`${values.solver}\``,
    seconds.map((each) => `${each.toFixed(0)} s`).join(', '),
    processorSeconds.map((each) => `${each.toFixed(0)} s`).join(', '),
    megabytes(peakBytes),
    megabytes(boundBytes),
    peakBytes <= boundBytes ? 'inside' : '**above**',
  ];
  return `${title}\n\n${markdownTable(['solver', 'time of each block', 'of processors', 'peak memory', 'bound', ''], [row])}`;
}
