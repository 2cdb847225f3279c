import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { matMul, type Tensor2D } from '@tensorflow/tfjs-core';
import { geometricMean } from 'simple-statistics';
import { type Decoder, describeModel, openModel, tokensPerBatch } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { markdownTable } from '../record.js';
import { MISTRAL, syntheticMistral } from '../synthetic-mistral.js';
import { interleave } from '../timing.js';
import { partOf } from './part.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const repository = path.resolve(here, '../..');
const MODELS = [
  '../shared/models/stories260k',
  '../shared/models/tinystories-656k',
  '../shared/models/novels-5m',
  'models/fledgling',
];
/** Debian's own Python, whose numpy takes the BLAS that the system is set to. */
const PYTHON = '/usr/bin/python3';
const CONTEXT = 256;
const ROUNDS = 7;
/** Short products are repeated until a measurement takes this long. */
const MIN_SECONDS = 0.03;

/** One product x [rows, inner] · Wᵀ, W [columns, inner], of a forward pass over windows of 256 tokens. */
interface Shape {
  readonly model: string;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

interface Timing extends Shape {
  readonly gflops: number;
  readonly openblasGflops: number | null;
  readonly ratio: number | null;
}

export interface MatrixProducts {
  readonly device: string;
  readonly threads: number;
  readonly blas: string | null;
  readonly products: readonly Timing[];
  readonly geometricMeans: Readonly<Record<string, number>>;
}

export default partOf(
  'Matrix products on the CPU device against OpenBLAS',
  ({ threads }) => matrixProducts(threads),
  renderMatrixProducts,
);

/** Our CPU device against OpenBLAS on as many threads, over the linear layers of real and Mistral-shaped models. */
async function matrixProducts(threads = availableParallelism()): Promise<MatrixProducts> {
  const device = await openDevice('cpu', { threads });
  const openblas = await OpenBlas.start(threads);
  try {
    const products: Timing[] = [];
    for (const shape of await shapes(device)) {
      const timing = await time(device, openblas, shape);
      console.log(`  ${describe(timing)}`);
      products.push(timing);
    }
    const geometricMeans = openblas === undefined ? {} : meansByModel(products);
    return { device: device.description, threads, blas: openblas?.library ?? null, products, geometricMeans };
  } finally {
    openblas?.stop();
    await device.close();
  }
}

function renderMatrixProducts({ device, threads, blas, products, geometricMeans }: MatrixProducts): string {
  const rows = products.map(({ model, rows: tokens, inner, columns, gflops, openblasGflops, ratio }) => [
    model,
    `[${tokens}, ${inner}] · [${inner}, ${columns}]`,
    gflops.toFixed(1),
    openblasGflops?.toFixed(1) ?? '–',
    ratio?.toFixed(2) ?? '–',
  ]);
  const means = Object.entries(geometricMeans).map(([model, mean]) => `${model} **${mean.toFixed(2)}**`);
  return [
    `${device}; ${blas ?? 'no OpenBLAS'}; ${threads} ${threads === 1 ? 'thread' : 'threads'} each. The ratio is the median over ${ROUNDS} pairs; 1 is as fast as OpenBLAS.`,
    markdownTable(['model', 'product', 'ours, GFLOP/s', 'OpenBLAS, GFLOP/s', 'ratio'], rows),
    ...(means.length === 0 ? [] : [`Geometric means: ${means.join(', ')}.`]),
  ].join('\n\n');
}

async function shapes(device: Device): Promise<Shape[]> {
  const found: Shape[] = [];
  for (const folder of MODELS) {
    if (!existsSync(path.resolve(repository, folder, 'config.json'))) {
      console.log(`  ${path.basename(folder)} is not here: left out`);
      continue;
    }
    const { decoder, checkpoint } = await openModel(path.resolve(repository, folder));
    await checkpoint.close();
    found.push(...shapesOf(path.basename(folder), decoder, device));
  }
  const mistral = syntheticMistral({ blocks: 1 });
  return [
    ...found,
    ...shapesOf('Mistral-7B', await describeModel(mistral, { ...MISTRAL, num_hidden_layers: 1 }), device),
  ];
}

/** The distinct products of the first block, and the head. */
function shapesOf(model: string, decoder: Decoder, device: Device): Shape[] {
  const rows = tokensPerBatch(decoder, CONTEXT, device);
  const linears = decoder.blocks[0]!.linears.map((linear) => ({ inner: linear.columns, columns: linear.rows }));
  const all = [...linears, { inner: decoder.hidden, columns: decoder.vocabulary }];
  const distinct = new Map(all.map((shape) => [`${shape.inner} ${shape.columns}`, { model, rows, ...shape }]));
  return [...distinct.values()];
}

async function time(device: Device, openblas: OpenBlas | undefined, shape: Shape): Promise<Timing> {
  const { rows, inner, columns } = shape;
  const random = (length: number) =>
    Float32Array.from({ length }, (_, index) => ((index * 2_654_435_761) % 1000) / 1000 - 0.5);
  const x = device.upload(random(rows * inner), [rows, inner]) as Tensor2D;
  const w = device.upload(random(columns * inner), [columns, inner]) as Tensor2D;
  const ours = (count: number) => {
    const start = performance.now();
    for (let run = 0; run < count; run += 1) matMul(x, w, false, true).dispose();
    return (performance.now() - start) / 1000;
  };
  try {
    ours(1);
    const count = Math.max(1, Math.ceil(MIN_SECONDS / ours(1)));
    const gflop = (2 * count * rows * inner * columns) / 1e9;
    if (openblas === undefined) return { ...shape, gflops: gflop / ours(count), openblasGflops: null, ratio: null };
    await openblas.ask(`shape ${rows} ${inner} ${columns}`);
    const timing = await interleave(
      ROUNDS,
      async () => ours(count),
      async () => Number(await openblas.ask(`run ${count}`)),
    );
    return { ...shape, gflops: gflop / timing.ours, openblasGflops: gflop / timing.theirs, ratio: timing.ratio };
  } finally {
    x.dispose();
    w.dispose();
  }
}

function describe({ model, rows, inner, columns, gflops, openblasGflops, ratio }: Timing): string {
  const product = `[${rows}, ${inner}] · [${inner}, ${columns}]`;
  const them = ratio === null ? '' : `, OpenBLAS ${openblasGflops!.toFixed(1)}, ratio ${ratio.toFixed(2)}`;
  return `${model.padEnd(16)} ${product.padEnd(30)} ours ${gflops.toFixed(1)} GFLOP/s${them}`;
}

function meansByModel(products: readonly Timing[]): Record<string, number> {
  const mean = (timings: readonly Timing[]) => geometricMean(timings.map(({ ratio }) => ratio!));
  const models = [...new Set(products.map(({ model }) => model))];
  const means = models.map((name) => [name, mean(products.filter(({ model }) => model === name))]);
  return { ...Object.fromEntries(means), all: mean(products) };
}

/** The Python program beside this part; one question at a time. */
class OpenBlas {
  readonly library: string;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess, answers: AsyncIterator<string>, library: string) {
    this.#child = child;
    this.#answers = answers;
    this.library = library;
  }

  /** Undefined, with the reason printed, where there is no numpy or where it runs on something slower than OpenBLAS. */
  static async start(threads: number): Promise<OpenBlas | undefined> {
    const child = spawn(PYTHON, [path.join(here, '../openblas.py')], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, OPENBLAS_NUM_THREADS: String(threads) },
    });
    // A program that is not there ends its output at once, which `ask` reports.
    child.on('error', () => {});
    child.stdin!.on('error', () => {});
    const answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const openblas = new OpenBlas(child, answers, '');
    const libraries = await openblas.ask('blas').catch(() => undefined);
    const library = libraries?.split(' ').find((name) => name.includes('openblas'));
    if (library !== undefined) return new OpenBlas(child, answers, library);
    openblas.stop();
    console.log(
      `  no OpenBLAS to compare with: ${libraries === undefined ? 'no numpy' : `numpy runs on ${libraries}`}`,
    );
    console.log('  on Debian: apt-get install python3-numpy libopenblas0-pthread');
    return undefined;
  }

  async ask(question: string): Promise<string> {
    this.#child.stdin!.write(`${question}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`bench/openblas.py ended at "${question}".`);
    return value;
  }

  stop(): void {
    this.#child.kill();
  }
}
