import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { matMul, type Tensor2D } from '@tensorflow/tfjs-core';
import { geometricMean, median } from 'simple-statistics';
import { headSections } from '../../src/model/head.js';
import { type Decoder, describeModel, openModel, tokensPerBatch } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { rowsOfLogits } from '../../src/tensor/ops/next-tokens.js';
import { PythonPeer } from '../python-peer.js';
import { markdownTable } from '../record.js';
import { MISTRAL, syntheticMistral } from '../synthetic-mistral.js';
import { ratioOf, takeTurns, untilIdle } from '../timing.js';
import { partOf } from './part.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const repository = path.resolve(here, '../..');
const MODELS = [
  '../shared/models/stories260k',
  '../shared/models/tinystories-656k',
  '../shared/models/novels-5m',
  'models/fledgling',
];
const CONTEXT = 256;
const ROUNDS = 7;
const NO_TORCH = { torchGflops: null, torchRatio: null };
const NOTHING_BESIDE = { openblasGflops: null, ratio: null, ...NO_TORCH };
/**
 * Products are repeated until a measurement takes this long, as a forward pass has many of them: on a machine that was idle, a virtual one
 * above all, threads are slow to wake for the first, which is no property of the product.
 */
const MIN_SECONDS = 0.2;

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
  readonly torchGflops: number | null;
  readonly torchRatio: number | null;
}

export interface MatrixProducts {
  readonly device: string;
  readonly threads: number;
  readonly blas: string | null;
  readonly torch: string | null;
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
    return {
      device: device.description,
      threads,
      blas: openblas?.library ?? null,
      torch: openblas?.torch ?? null,
      products,
      geometricMeans,
    };
  } finally {
    openblas?.stop();
    await device.close();
  }
}

function renderMatrixProducts({ device, threads, blas, torch, products, geometricMeans }: MatrixProducts): string {
  const rows = products.map(({ model, rows: tokens, inner, columns, gflops, openblasGflops, ratio, torchRatio }) => [
    model,
    `[${tokens}, ${inner}] · [${inner}, ${columns}]`,
    gflops.toFixed(1),
    openblasGflops?.toFixed(1) ?? '–',
    ratio?.toFixed(2) ?? '–',
    torchRatio?.toFixed(2) ?? '–',
  ]);
  const means = Object.entries(geometricMeans).map(([model, mean]) => `${model} **${mean.toFixed(2)}**`);
  return [
    `${device}; ${blas ?? 'no OpenBLAS'}; ${torch === null ? 'no torch' : `torch ${torch}`}; ${threads} ${threads === 1 ? 'thread' : 'threads'} each. The ratio is the median over ${ROUNDS} pairs; 1 is as fast as OpenBLAS.`,
    markdownTable(['model', 'product', 'ours, GFLOP/s', 'OpenBLAS, GFLOP/s', 'ratio', 'to torch'], rows),
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

/** The distinct products of the first block, and the head's, which is multiplied part by part and for some rows at a time. */
function shapesOf(model: string, decoder: Decoder, device: Device): Shape[] {
  const rows = tokensPerBatch(decoder, CONTEXT, device);
  const linears = decoder.blocks[0]!.linears.map((linear) => ({ rows, inner: linear.columns, columns: linear.rows }));
  const tokens = Math.min(decoder.vocabulary, headSections([{ decoder }], device)[0]!.rowsPerPart);
  const head = { rows: Math.min(rows, rowsOfLogits(tokens, device)), inner: decoder.hidden, columns: tokens };
  const distinct = new Map([...linears, head].map((shape) => [Object.values(shape).join(), { model, ...shape }]));
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
    if (openblas === undefined) return { ...shape, gflops: gflop / ours(count), ...NOTHING_BESIDE };
    await openblas.ask(`shape ${rows} ${inner} ${columns}`);
    const ways = [
      async () => ours(count),
      async () => Number(await openblas.ask(`run ${count}`)),
      ...(openblas.torch === undefined ? [] : [async () => Number(await openblas.ask(`run-torch ${count}`))]),
    ];
    const [own, theirs, torch] = await takeTurns(ROUNDS, ways, untilIdle);
    return {
      ...shape,
      gflops: gflop / median(own!),
      openblasGflops: gflop / median(theirs!),
      ratio: ratioOf(own!, theirs!),
      ...(torch === undefined ? NO_TORCH : { torchGflops: gflop / median(torch), torchRatio: ratioOf(own!, torch) }),
    };
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

/** The Python program beside this part, where its numpy runs on OpenBLAS; one question at a time. */
class OpenBlas {
  readonly library: string;
  /** Its version, where there is one. */
  readonly torch: string | undefined;
  readonly #peer: PythonPeer;

  private constructor(peer: PythonPeer, library: string, torch: string | undefined) {
    this.#peer = peer;
    this.library = library;
    this.torch = torch;
  }

  /** Undefined, with the reason printed, where there is no numpy or where it runs on something slower than OpenBLAS. */
  static async start(threads: number): Promise<OpenBlas | undefined> {
    const peer = new PythonPeer('openblas.py', { OPENBLAS_NUM_THREADS: String(threads) });
    const libraries = await peer.ask('blas').catch(() => undefined);
    const library = libraries?.split(' ').find((name) => name.includes('openblas'));
    if (library !== undefined) {
      const torch = await peer.ask(`torch ${threads}`);
      if (torch === 'none') console.log('  no torch to compare with; on Debian: apt-get install python3-torch');
      return new OpenBlas(peer, library, torch === 'none' ? undefined : torch);
    }
    peer.stop();
    console.log(
      `  no OpenBLAS to compare with: ${libraries === undefined ? 'no numpy' : `numpy runs on ${libraries}`}`,
    );
    console.log('  on Debian: apt-get install python3-numpy libopenblas0-pthread');
    return undefined;
  }

  ask(question: string): Promise<string> {
    return this.#peer.ask(question);
  }

  stop(): void {
    this.#peer.stop();
  }
}
