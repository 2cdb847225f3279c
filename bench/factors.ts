/**
 * `tsx bench/factors.ts`: the factor of an inverse that SparseGPT and GPTQ go by, and eigenvectors, beside LAPACK through numpy, in
 * seconds of processors. The table goes into docs/solvers.md.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gaussians } from '../src/lowrank/gaussian.js';
import { inverseUpperFactor, symmetricEigen } from '../src/solvers/index.js';
import { type Device, multiplyOnDevice, openDevice } from '../src/tensor/index.js';
import { keepResults, markdownTable, writeSection } from './record.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const SIZES = [512, 1024, 2048, 4096];
/** Above it eigenvectors of both sides take minutes. */
const MOST_EIGEN = 2048;

interface Figures {
  readonly size: number;
  readonly factor: number;
  /** Largest |(G + dI) Uᵀ U x − x| over the largest |x|, x = 1 … 1. */
  readonly residual: number;
  readonly eigen?: number;
  /** Largest |V Vᵀ − I|. */
  readonly orthogonality?: number;
}

const device = await openDevice('cpu');
const ours: Figures[] = [];
for (const size of SIZES) ours.push(await measure(size, device));
await device.close();
const theirs = execFileSync('/usr/bin/python3', [path.join(here, 'lapack.py'), ...SIZES.map(String)], {
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { factor: number; eigen: number | null });
const table = markdownTable(
  ['inputs', 'inverse factor', 'LAPACK', 'residual', 'eigenvectors', 'LAPACK', '‖V Vᵀ − I‖'],
  ours.map(({ size, factor, residual, eigen, orthogonality }, i) => [
    String(size),
    `${factor.toFixed(2)} s`,
    `${theirs[i]!.factor.toFixed(2)} s`,
    residual.toExponential(1),
    eigen === undefined ? '–' : `${eigen.toFixed(2)} s`,
    theirs[i]!.eigen === null ? '–' : `${theirs[i]!.eigen!.toFixed(2)} s`,
    orthogonality?.toExponential(1) ?? '–',
  ]),
);
console.log(`${table}\n\nkept in ${keepResults({ factors: { ours, theirs } })}`);
writeSection('factors', table, path.resolve(here, '../docs/solvers.md'));

async function measure(size: number, on: Device): Promise<Figures> {
  const tokens = { values: gaussians(2 * size * size, size), rows: size, columns: 2 * size };
  const gram = { values: await multiplyOnDevice(tokens, tokens, on, { transposeRight: true }), columns: size };
  let mean = 0;
  for (let i = 0; i < size; i += 1) mean += gram.values[i * size + i]! / size;
  const [factor, upper] = await timed(async () => (await inverseUpperFactor(gram, { device: on })).values);
  const residual = residualOf(gram.values, upper, 0.01 * mean, size);
  if (size > MOST_EIGEN) return { size, factor, residual };
  const [eigen, { vectors }] = await timed(async () => symmetricEigen(gram.values, size, on));
  const rows = { values: vectors, rows: size, columns: size };
  const unit = on.doubles!.multiply(rows, rows, { transposeRight: true });
  let orthogonality = 0;
  for (const [i, value] of unit.entries()) {
    orthogonality = Math.max(orthogonality, Math.abs(value - Number(i % (size + 1) === 0)));
  }
  return { size, factor, residual, eigen, orthogonality };
}

async function timed<Result>(work: () => Promise<Result>): Promise<[seconds: number, Result]> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return [(user + system) / 1e6, result];
}

function residualOf(gram: Float32Array, upper: ArrayLike<number>, added: number, size: number): number {
  const [once, twice] = [new Float64Array(size), new Float64Array(size)];
  for (let i = 0; i < size; i += 1) for (let j = i; j < size; j += 1) once[i]! += upper[i * size + j]!;
  for (let i = 0; i < size; i += 1) for (let j = i; j < size; j += 1) twice[j]! += upper[i * size + j]! * once[i]!;
  let largest = 0;
  for (let i = 0; i < size; i += 1) {
    let sum = added * twice[i]! - 1;
    for (let j = 0; j < size; j += 1) sum += gram[i * size + j]! * twice[j]!;
    largest = Math.max(largest, Math.abs(sum));
  }
  return largest;
}
