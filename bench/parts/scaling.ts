import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openModel } from '../../src/model/index.js';
import { measureNode } from '../measured-process.js';
import { markdownTable } from '../record.js';
import { type LlamaShape, writeSyntheticLlama } from '../synthetic-llama.js';
import type { Part } from './part.js';
import { drawScaling } from './scaling-picture.js';

const CONTEXT = 256;
/** Doubling width quadruples a block; the depth is the same, so that the largest block grows with the model. */
const SHAPES: readonly LlamaShape[] = [256, 384, 512, 768].map((hidden) => {
  return { hidden, layers: 8, ffn: 3 * hidden, heads: hidden / 64, kvHeads: hidden / 128, headDim: 64 };
});
/** What is measured with other tokens and cores. */
const MIDDLE = 2;
const WINDOWS = [4, 8, 16, 32];
const USUAL_WINDOWS = 16;
const PICTURE = 'pictures/scaling.svg';

/** One job: what it was given, and what it took. */
export interface Job {
  readonly parameters: number;
  /** Of all linears of the largest block, in float32. */
  readonly blockBytes: number;
  readonly tokens: number;
  readonly cores: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

export interface Scaling {
  readonly parameters: readonly Job[];
  readonly tokens: readonly Job[];
  readonly cores: readonly Job[];
}

/** How time and memory of pruning with Wanda grow with the model, the calibration text and the cores. */
const scaling: Part = {
  title: 'Time and memory against parameters, tokens and cores',
  async run() {
    const figures = await measure();
    const picture = await drawScaling(figures);
    return { figures, table: render(figures), pictures: { [PICTURE]: picture } };
  },
};
export default scaling;

async function measure(): Promise<Scaling> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-scaling-'));
  try {
    const models: string[] = [];
    for (const [i, shape] of SHAPES.entries())
      models.push(await writeSyntheticLlama(path.join(folder, String(i)), shape));
    const job = (model: number, windows: number, cores: number) => runJob(models[model]!, windows, cores, folder);
    const parameters: Job[] = [];
    for (const i of SHAPES.keys()) parameters.push(await job(i, USUAL_WINDOWS, 1));
    const tokens: Job[] = [];
    for (const windows of WINDOWS) tokens.push(await job(MIDDLE, windows, 1));
    const cores: Job[] = [];
    for (const count of [1, 2]) cores.push(await job(SHAPES.length - 1, USUAL_WINDOWS, count));
    return { parameters, tokens, cores };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runJob(model: string, windows: number, cores: number, folder: string): Promise<Job> {
  const state = path.join(folder, 'state');
  await mkdir(state, { recursive: true });
  const script = path.join(import.meta.dirname, '../wanda-job.ts');
  const args = ['--import', 'tsx', script, model, String(windows), String(CONTEXT), String(cores), state];
  const { stdout, peakBytes } = await measureNode(args, path.resolve(import.meta.dirname, '../..'));
  await rm(state, { recursive: true });
  const { seconds, cpuSeconds } = JSON.parse(stdout.trim().split('\n').at(-1)!) as Pick<Job, 'seconds' | 'cpuSeconds'>;
  const job = { ...(await sizesOf(model)), tokens: windows * CONTEXT, cores, seconds, cpuSeconds, peakBytes };
  console.log(`  ${cells(job).join('  ')}`);
  return job;
}

async function sizesOf(folder: string): Promise<Pick<Job, 'parameters' | 'blockBytes'>> {
  const { decoder, checkpoint } = await openModel(folder);
  await checkpoint.close();
  const blocks = decoder.blocks.map(({ linears }) =>
    linears.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
  );
  const elements = [...checkpoint.tensors.values()].map(({ shape }) =>
    shape.reduce((product, side) => product * side, 1),
  );
  return { parameters: elements.reduce((sum, count) => sum + count, 0), blockBytes: 4 * Math.max(...blocks) };
}

function render(figures: Scaling): string {
  const rows = Object.values(figures).flatMap((jobs: readonly Job[]) => jobs.map(cells));
  const table = markdownTable(
    [
      'parameters',
      'tokens',
      'cores',
      'seconds',
      'CPU seconds',
      'CPU ns per parameter and token',
      'peak memory',
      'a block in float32',
    ],
    rows,
  );
  return `![Time and memory of a Wanda job](${PICTURE})\n\n${table}`;
}

function cells({ parameters, blockBytes, tokens, cores, seconds, cpuSeconds, peakBytes }: Job): string[] {
  return [
    `${(parameters / 1e6).toFixed(1)} M`,
    String(tokens),
    String(cores),
    seconds.toFixed(1),
    cpuSeconds.toFixed(1),
    ((1e9 * cpuSeconds) / (parameters * tokens)).toFixed(3),
    `${(peakBytes / 1e6).toFixed(0)} MB`,
    `${(blockBytes / 1e6).toFixed(0)} MB`,
  ];
}
