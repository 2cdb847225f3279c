/**
 * `tsx bench/clusters.ts`: what clustering takes, a process for each line: channels of real models from text to pictures, and every
 * method with as many points as it takes at most. The tables go into docs/clusters.md. Needs a build, and the shared models.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cluster, clusterings } from '../src/clusters/index.js';
import { gaussians } from '../src/lowrank/gaussian.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { type MeasuredProcess, measureNode } from './measured-process.js';
import { keepResults, markdownTable, writeSection } from './record.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const PAGE = path.join(root, 'docs/clusters.md');
const MODELS = [
  ['stories260k', 'tinystories-1000'],
  ['tinystories-656k', 'tinystories-1000'],
  ['novels-5m', 'novels'],
] as const;
const DIMENSIONS = 16;

const [method] = process.argv.slice(2);
if (method !== undefined) await clusterAtLimit(method);
else await measureAll();

/** Eight clusters of one normal cloud, which has none: iterations take as long as they do. */
async function clusterAtLimit(name: string): Promise<void> {
  const { limit } = await clusterings.load(name as (typeof clusterings.names)[number]);
  const values = Float64Array.from(gaussians(limit.points * DIMENSIONS, 1));
  const features = { values, count: limit.points, dimensions: DIMENSIONS };
  const { k, notes } = await cluster(features, { method: name, seed: 0, ...(name !== 'dbscan' && { k: 8 }) });
  console.log(JSON.stringify({ points: limit.points, k, notes }));
}

async function measureAll(): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to cluster: ${sharedMissing}`);
  const models = [];
  for (const [model, data] of MODELS) models.push({ model, ...(await clusterModel(model, data)) });
  const methods = [];
  for (const name of clusterings.names) {
    const { stdout, ...took } = await measureNode(['--import', 'tsx', 'bench/clusters.ts', name], root);
    methods.push({ method: name, ...(JSON.parse(stdout) as { points: number; k: number }), ...took });
  }
  const limits = markdownTable(
    ['`--method`', 'points', 'clusters', 'CPU s', 'memory at most'],
    methods.map((row) => [`\`${row.method}\``, String(row.points), String(row.k), ...costOf(row)]),
  );
  const real = markdownTable(
    ['model', 'network', 'channels', 'k', 'silhouette', 'seeds', 'bootstrap', 'chance'],
    models.flatMap(({ model, populations }) => populations.map((row, i) => [i === 0 ? model : '', ...row])),
  );
  const costs = markdownTable(
    ['model', 'CPU s', 'memory at most', 'CPU s without stability'],
    models.map(({ model, whole, bare }) => [model, ...costOf(whole), bare.cpuSeconds.toFixed(1)]),
  );
  console.log(`${real}\n\n${costs}\n\n${limits}`);
  console.log(`\nkept in ${keepResults({ clusters: { models, methods } })}`);
  writeSection('models', real, PAGE);
  writeSection('costs', costs, PAGE);
  writeSection('limits', limits, PAGE);
}

type Took = Omit<MeasuredProcess, 'stdout'>;

function costOf({ cpuSeconds, peakBytes }: Took): string[] {
  return [cpuSeconds.toFixed(1), `${Math.round(peakBytes / 1e6)} MB`];
}

interface ClusterFile {
  readonly populations: readonly {
    readonly name: string;
    readonly neurons: number;
    readonly k: number;
    readonly quality: { readonly silhouette: number };
    readonly stability: { readonly seeds: { readonly mean: number }; readonly bootstrap: { readonly mean: number } };
    readonly tendency: { readonly chance: number };
  }[];
}

/** Channels by what they give over 32 windows of 128 tokens: with stability and a page of pictures, and without. */
async function clusterModel(model: string, data: string) {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-clusters-'));
  const out = path.join(folder, 'clusters.json');
  const run = (...words: string[]) => {
    const text = [
      '--calibration',
      sharedData(data, 'calibration.txt'),
      '--calibration-windows',
      '32',
      '--context',
      '128',
    ];
    const what = ['cluster', sharedModel(model), '--out', out, '--device', 'cpu', '--by', 'functional', ...text];
    return measureNode(['bin/run.js', ...what, ...words], root);
  };
  try {
    const { stdout: _, ...bare } = await run();
    await rm(out);
    const { stdout: __, ...whole } = await run('--bootstrap', '10', '--picture', path.join(folder, 'clusters.html'));
    const { populations } = JSON.parse(await readFile(out, 'utf8')) as ClusterFile;
    return { whole, bare, populations: populations.map(rowOf) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function rowOf({ name, neurons, k, quality, stability, tendency }: ClusterFile['populations'][number]): string[] {
  const { seeds, bootstrap } = stability;
  const figures = [quality.silhouette, seeds.mean, bootstrap.mean].map((value) => value.toFixed(3));
  return [name.replace(/ ffn$/, ''), String(neurons), String(k), ...figures, tendency.chance.toFixed(2)];
}
