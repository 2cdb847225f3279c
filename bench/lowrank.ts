/**
 * `tsx bench/lowrank.ts`: the randomised SVD of a 4096 × 4096 matrix at rank 256 against the known optimum, and linears as two
 * factors against dense ones. The tables go into docs/lowrank.md. Fails where the residual is more than 2 % above the optimum.
 */
import { loadavg } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import { median } from 'simple-statistics';
import { gaussians } from '../src/lowrank/gaussian.js';
import { largestUsefulRank, lossAt, rankAtRatio } from '../src/lowrank/index.js';
import { randomisedDirections } from '../src/lowrank/randomised.js';
import { weightOperator } from '../src/lowrank/weight-operator.js';
import { type Device, disposeMatrix, linear, type Matrix, openDevice, uploadMatrix } from '../src/tensor/index.js';
import { matrixOfSpectrum, SPECTRA } from './known-spectrum.js';
import { megabytes } from './machine.js';
import { keepResults, markdownTable, writeSection } from './record.js';

const PAGE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../docs/lowrank.md');
const MOST_ABOVE_OPTIMUM = 1.02;
/** Tokens that go through a linear at a time. */
const TOKENS = 512;
const ROUNDS = 7;

const { values } = parseArgs({
  options: { size: { type: 'string', default: '4096' }, rank: { type: 'string', default: '256' } },
});
const [size, rank] = [Number(values.size), Number(values.rank)];
const device = await openDevice('cpu');
const load = loadavg()[0]!;
const decompositions: Awaited<ReturnType<typeof decomposition>>[] = [];
for (const [name, spectrum] of Object.entries(SPECTRA))
  decompositions.push(await decomposition(name, spectrum, device));
const linears: Awaited<ReturnType<typeof compareLinears>>[] = [];
for (const [rows, columns] of [
  [4096, 4096],
  [14336, 4096],
  [4096, 14336],
  [1024, 4096],
] as const) {
  for (const ratio of [0.2, 0.5]) linears.push(await compareLinears({ rows, columns }, ratio, device));
}
await device.close();
const svd = svdTable();
const products = productTable();
console.log(`${svd}\n\n${products}`);
console.log(`\nkept in ${keepResults({ lowrank: { size, rank, load, decompositions, linears } })}`);
writeSection('svd', svd, PAGE);
writeSection('factored', products, PAGE);
if (decompositions.some(({ ratio }) => ratio > MOST_ABOVE_OPTIMUM)) process.exitCode = 1;

async function decomposition(name: string, spectrum: (i: number, size: number) => number, device: Device) {
  const singular = Float64Array.from({ length: size }, (_, i) => spectrum(i, size));
  const matrix = matrixOfSpectrum(singular, 7);
  const read = async (first: number, count: number) => matrix.subarray(first * size, (first + count) * size);
  const operator = weightOperator({ name, rows: size, columns: size, read }, { device });
  const [start, used] = [performance.now(), process.cpuUsage()];
  const found = await randomisedDirections(operator, { device, seed: 0, rank });
  const [seconds, { user, system }] = [(performance.now() - start) / 1000, process.cpuUsage(used)];
  let least = 0;
  for (const value of singular.subarray(rank)) least += value ** 2;
  const lost = lossAt(found, rank);
  const certified = Math.sqrt(lost / found.certificate!.leastLoss);
  return { name, seconds, processorSeconds: (user + system) / 1e6, ratio: Math.sqrt(lost / least), certified };
}

async function compareLinears({ rows, columns }: { rows: number; columns: number }, ratio: number, device: Device) {
  const kept = Math.min(rankAtRatio({ rows, columns }, ratio), largestUsefulRank({ rows, columns }));
  const x = device.upload(gaussians(TOKENS * columns, 1), [TOKENS, columns]) as Tensor2D;
  const dense = uploadMatrix(device, gaussians(rows * columns, 2), rows, columns);
  const left = uploadMatrix(device, gaussians(rows * kept, 3), rows, kept);
  const right = uploadMatrix(device, gaussians(kept * columns, 4), kept, columns);
  const factored: Matrix = { rows, columns, parts: left.parts, right };
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [which, weight] of [dense, factored].entries()) {
      const seconds = await secondsOfLinear(x, weight, device);
      // The first round compiles and warms up.
      if (round > 0) times[which]!.push(seconds);
    }
  }
  dispose(x);
  disposeMatrix(dense);
  disposeMatrix(factored);
  const ratios = times[0].map((seconds, round) => seconds / times[1][round]!);
  return {
    shape: `${rows} × ${columns}`,
    ratio,
    rank: kept,
    bytes: [4 * rows * columns, 4 * kept * (rows + columns)] as const,
    milliseconds: times.map((list) => 1000 * median(list)) as [number, number],
    faster: median(ratios),
  };
}

async function secondsOfLinear(x: Tensor2D, weight: Matrix, device: Device): Promise<number> {
  const start = performance.now();
  const y = linear(x, weight);
  await device.read(y);
  dispose(y);
  return (performance.now() - start) / 1000;
}

function svdTable(): string {
  const rows = decompositions.map(({ name, seconds, processorSeconds, ratio, certified }) => [
    name,
    `${seconds.toFixed(1)} s`,
    `${processorSeconds.toFixed(1)} s`,
    ratio.toFixed(4),
    certified.toFixed(3),
  ]);
  const title = `${size} × ${size} at rank ${rank}; load of the machine before: ${load.toFixed(1)}.`;
  const header = ['singular values', 'time', 'of processors', 'residual / optimum', 'certified at most'];
  return `${title}\n\n${markdownTable(header, rows)}`;
}

function productTable(): string {
  const rows = linears.map(({ shape, ratio, rank: kept, bytes, milliseconds: [whole, thin], faster }) => [
    shape,
    `${100 * ratio} %`,
    String(kept),
    megabytes(bytes[0]),
    megabytes(bytes[1]),
    `${whole.toFixed(1)} ms`,
    `${thin.toFixed(1)} ms`,
    `${faster.toFixed(2)}×`,
  ]);
  const header = ['matrix', '`--ratio`', 'rank', 'dense', 'factors', 'dense', 'factors', 'faster'];
  return `${TOKENS} tokens through one linear in float32, medians of ${ROUNDS} rounds, turn about.\n\n${markdownTable(header, rows)}`;
}
