import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { geometricMean, median } from 'simple-statistics';
import { type Checkpoint, openCheckpoint } from '../src/checkpoint/index.js';
import { readCalibration } from '../src/corpus/index.js';
import { loadTokenizer, openModel } from '../src/model/index.js';
import { megabytes } from './machine.js';
import { measureNode } from './measured-process.js';
import { PYTHON } from './python-peer.js';
import { markdownTable } from './record.js';
import { writeSyntheticLlama } from './synthetic-llama.js';

const root = path.resolve(import.meta.dirname, '..');
const CALIBRATION = path.join(root, 'models/fledgling/calibration.txt');

/** Llama's proportions and its vocabulary; with seven blocks 98.7 million parameters. */
const SHAPE = { hidden: 768, ffn: 2048, heads: 12, kvHeads: 12, headDim: 64 };
const VOCABULARY = 32_000;
const BLOCKS = 7;
const WINDOWS = 128;
const CONTEXT = 512;

/** What a whole job took, from start to end of its process. */
export interface JobFigures {
  readonly seconds: number;
  /** Of all threads: what the job takes also on a machine that does other work beside. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** A command of ours, and the script of peers/ that does the same on PyTorch. */
export interface PeerJob {
  readonly script: string;
  /** The command and its flags, without model, output and text. */
  readonly command: readonly [name: string, ...flags: string[]];
  /** What is to be said of how far the two results agree; throws where they are not results of one algorithm. */
  compare(results: Results): Promise<string>;
}

export interface Results {
  readonly dense: Checkpoint;
  readonly ours: Checkpoint;
  readonly theirs: Checkpoint;
  /** Stored names of the weights that both have changed. */
  readonly weights: readonly string[];
}

export interface JobOptions {
  readonly threads?: number | undefined;
  /** Blocks of the model; as many as make 100 million parameters unless given. */
  readonly blocks?: number | undefined;
  readonly windows?: number | undefined;
  readonly pairs?: number | undefined;
}

export interface PeerFigures {
  readonly job: string;
  readonly parameters: number;
  readonly blocks: number;
  readonly windows: number;
  readonly context: number;
  readonly threads: number;
  readonly torch: string;
  readonly pairs: readonly { readonly ours: JobFigures; readonly theirs: JobFigures }[];
  readonly agreement: string;
}

/** Runs our job and theirs turn about on one random Llama in bf16, each as a process of its own. Needs a build. */
export async function measureJobs(job: PeerJob, options: JobOptions): Promise<PeerFigures> {
  const { threads = availableParallelism(), blocks = BLOCKS, windows = WINDOWS, pairs = 1 } = options;
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-peers-'));
  try {
    const model = await writeModel(path.join(folder, 'dense'), blocks);
    const ids = await writeIds(model, path.join(folder, 'ids'), windows);
    const found: { ours: JobFigures; theirs: JobFigures }[] = [];
    let torch = '';
    for (let pair = 0; pair < pairs; pair += 1) {
      const theirs = await runTheirs(job, { model, ids, out: path.join(folder, 'theirs.safetensors'), threads });
      const ours = await runOurs(job, { model, out: path.join(folder, 'ours'), windows, threads });
      ({ torch } = theirs);
      found.push({ ours, theirs: theirs.figures });
      console.log(`  ours ${describe(ours)}; PyTorch ${describe(theirs.figures)}`);
    }
    const { parameters, agreement } = await compareResults(job, folder, model);
    const [name] = job.command;
    return { job: name, parameters, blocks, windows, context: CONTEXT, threads, torch, pairs: found, agreement };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function renderJobs({
  parameters,
  blocks,
  windows,
  context,
  threads,
  torch,
  pairs,
  agreement,
}: PeerFigures): string {
  const row = (side: 'ours' | 'theirs', name: string) => {
    const of = (field: keyof JobFigures) => median(pairs.map((pair) => pair[side][field]));
    return [name, `${of('seconds').toFixed(1)} s`, `${of('cpuSeconds').toFixed(1)} s`, megabytes(of('peakBytes'))];
  };
  const ratio = (field: keyof JobFigures) =>
    geometricMean(pairs.map(({ ours, theirs }) => theirs[field] / ours[field]));
  const ratios = (['seconds', 'cpuSeconds', 'peakBytes'] as const).map((field) => `**${ratio(field).toFixed(2)}**`);
  const model = `A Llama of ${(parameters / 1e6).toFixed(1)} million parameters in ${blocks} blocks, bf16, random weights`;
  return [
    `${model}; ${windows} windows of ${context} tokens; ${threads} threads each; PyTorch ${torch}; ${pairs.length === 1 ? 'one pair' : `${pairs.length} pairs`}.`,
    markdownTable(
      ['', 'time', 'CPU time', 'peak memory'],
      [row('ours', 'birdbone'), row('theirs', 'PyTorch'), ['PyTorch / birdbone', ...ratios]],
    ),
    agreement,
  ].join('\n\n');
}

function writeModel(folder: string, blocks: number): Promise<string> {
  const options = { dtype: 'BF16', vocabulary: VOCABULARY, maxContext: 2048 } as const;
  return writeSyntheticLlama(folder, { ...SHAPE, layers: blocks }, options);
}

/** The windows that our command will calibrate on, as a file of int32. */
async function writeIds(model: string, file: string, windows: number): Promise<string> {
  const options = { windows, context: CONTEXT, maxContext: CONTEXT };
  const { passages } = await readCalibration(CALIBRATION, await loadTokenizer(model), options);
  await writeFile(file, Buffer.concat(passages.map(({ ids }) => new Uint8Array(ids.slice().buffer))));
  return file;
}

interface Run {
  readonly model: string;
  readonly out: string;
  readonly threads: number;
}

async function runOurs({ command }: PeerJob, run: Run & { readonly windows: number }): Promise<JobFigures> {
  const [name, ...flags] = command;
  const cwd = path.dirname(run.out);
  await mkdir(path.join(cwd, 'diffs'), { recursive: true });
  const text = [
    '--calibration',
    CALIBRATION,
    '--calibration-windows',
    String(run.windows),
    '--context',
    String(CONTEXT),
  ];
  // The gate is off, and what it would look at is one window.
  const gate = ['--max-drop', '100%', '--limit', '1'];
  const how = ['--device', 'cpu', '--threads', String(run.threads), '--restart', '--json', '--quiet'];
  const args = [path.join(root, 'bin/run.js'), name, run.model, '--out', run.out, ...flags, ...text, ...gate, ...how];
  const { seconds, cpuSeconds, peakBytes } = await measureNode(args, cwd);
  return { seconds, cpuSeconds, peakBytes };
}

async function runTheirs({ script }: PeerJob, { model, out, threads, ids }: Run & { readonly ids: string }) {
  const start = performance.now();
  const args = [path.join(root, 'bench/peers', script), model, ids, out];
  const child = spawn(PYTHON, [...args, '--context', String(CONTEXT), '--threads', String(threads)], {
    env: { ...process.env, OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${script} ended with status ${status}; it needs apt-get install python3-torch.`);
  const { cpuSeconds, peakBytes, torch } = JSON.parse(stdout) as Omit<JobFigures, 'seconds'> & { torch: string };
  return { figures: { seconds, cpuSeconds, peakBytes }, torch };
}

async function compareResults({ compare }: PeerJob, folder: string, dense: string) {
  const { checkpoint, decoder } = await openModel(dense);
  const [ours, theirs] = await Promise.all(
    ['ours', 'theirs.safetensors'].map((name) => openCheckpoint(path.join(folder, name))),
  );
  try {
    const weights = decoder.blocks.flatMap(({ linears }) => linears.map(({ weight }) => weight));
    const shapes = [...checkpoint.tensors.values()].map(({ shape }) =>
      shape.reduce((product, size) => product * size, 1),
    );
    const parameters = shapes.reduce((sum, size) => sum + size, 0);
    return { parameters, agreement: await compare({ dense: checkpoint, ours: ours!, theirs: theirs!, weights }) };
  } finally {
    for (const opened of [checkpoint, ours!, theirs!]) await opened.close();
  }
}

function describe({ seconds, cpuSeconds, peakBytes }: JobFigures): string {
  return `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU, ${megabytes(peakBytes)}`;
}
