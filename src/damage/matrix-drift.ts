import { gather, mul, square, sub, sum, type Tensor, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { type LoadedLinear, throughLinear } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { alignment, type SampleGram } from './alignment.js';
import { driftOf } from './hidden-drift.js';
import type { InputRows } from './linear-inputs.js';
import { sampleGram } from './sample-gram.js';
import { noSquares, type Squares } from './squares.js';
import type { ClusterDamage, Drift, MatrixDamage } from './types.js';

/** A matrix before and after compression, and what each was fed. */
export interface MatrixPair {
  readonly before: LoadedLinear;
  readonly after: LoadedLinear;
  /** The dense model's inputs, and the compressed one's for the same tokens where there are such. */
  readonly dense: InputRows;
  readonly own: InputRows | undefined;
}

/** What became of its outputs. */
export interface MatrixDrift extends Pick<MatrixDamage, 'total'> {
  readonly own: Drift;
  readonly clusters: readonly Omit<ClusterDamage, 'block' | 'weight'>[];
}

/** Compares a matrix' outputs: W'x and W'x' with Wx, biases included; as a whole, and by the clusters of its rows where there are. */
export async function matrixDrift(
  { before, after, dense, own }: MatrixPair,
  assignments: Int32Array | undefined,
  device: Device,
): Promise<MatrixDrift> {
  const outputs: Outputs = { y: undefined, crossed: undefined, own: undefined };
  try {
    outputs.y = through(before, dense, device);
    outputs.crossed = through(after, dense, device);
    outputs.own = own && through(after, own, device);
    const rows = await rowsOf(outputs as Made, device);
    const all = await compared(outputs as Made, rows, undefined, device);
    const clusters: MatrixDrift['clusters'][number][] = [];
    for (const [cluster, members] of membersOf(assignments)) {
      const found = await compared(outputs as Made, rows, members, device);
      const share = all.squares.difference === 0 ? 0 : found.squares.difference / all.squares.difference;
      clusters.push({ cluster, rows: members.length, own: found.own, total: found.total, share });
    }
    return { own: all.own, total: all.total, clusters };
  } finally {
    for (const tensor of Object.values(outputs)) tensor?.dispose();
  }
}

/** [tokens, rows] each. */
interface Made {
  readonly y: Tensor2D;
  readonly crossed: Tensor2D;
  readonly own: Tensor2D | undefined;
}
type Outputs = { -readonly [name in keyof Made]: Tensor2D | undefined };

function through(linear: LoadedLinear, { values, count, columns }: InputRows, device: Device): Tensor2D {
  return tidy(() => throughLinear(linear, device.upload(values, [count, columns]) as Tensor2D));
}

/** Sums over the tokens, row by row. */
interface RowSquares {
  readonly own: readonly Float32Array[];
  readonly total: readonly Float32Array[] | undefined;
}

async function rowsOf({ y, crossed, own }: Made, device: Device): Promise<RowSquares> {
  return {
    own: await sumsOverTokens(y, crossed, device),
    total: own && (await sumsOverTokens(y, own, device)),
  };
}

/** In the order of `Squares`' fields. */
async function sumsOverTokens(before: Tensor2D, after: Tensor2D, device: Device): Promise<Float32Array[]> {
  const sums = tidy((): Tensor[] => {
    return [square(sub(after, before)), square(before), square(after), mul(after, before)].map((values) =>
      sum(values, 0),
    );
  });
  const found: Float32Array[] = [];
  try {
    for (const tensor of sums) found.push((await device.read(tensor)) as Float32Array);
    return found;
  } finally {
    for (const tensor of sums) tensor.dispose();
  }
}

interface Compared {
  readonly own: Drift;
  readonly total: Drift | null;
  readonly squares: Squares;
}

/** The drift of some rows, or of all. */
async function compared(
  made: Made,
  rows: RowSquares,
  members: readonly number[] | undefined,
  device: Device,
): Promise<Compared> {
  const gram = (outputs: Tensor2D) => gramOf(outputs, members, device);
  const dense = await gram(made.y);
  const squares = squaresOf(rows.own, members);
  const own = driftOf(squares, alignment(dense, await gram(made.crossed)));
  if (made.own === undefined || rows.total === undefined) return { own, total: null, squares };
  return { own, total: driftOf(squaresOf(rows.total, members), alignment(dense, await gram(made.own))), squares };
}

async function gramOf(outputs: Tensor2D, members: readonly number[] | undefined, device: Device): Promise<SampleGram> {
  if (members === undefined) return sampleGram(outputs, device);
  const chosen = tidy(() => gather(outputs, Int32Array.from(members), 1) as Tensor2D);
  try {
    return await sampleGram(chosen, device);
  } finally {
    chosen.dispose();
  }
}

function squaresOf(rows: readonly Float32Array[], members: readonly number[] | undefined): Squares {
  const total = (values: Float32Array) => {
    if (members === undefined) return values.reduce((added, value) => added + value, 0);
    return members.reduce((added, row) => added + values[row]!, 0);
  };
  const [difference, before, after, product] = rows.map(total) as [number, number, number, number];
  return { ...noSquares(), difference, before, after, product };
}

/** The rows of each cluster, clusters in order. */
function membersOf(assignments: Int32Array | undefined): [number, readonly number[]][] {
  const members = new Map<number, number[]>();
  for (const [row, cluster] of (assignments ?? []).entries()) {
    const own = members.get(cluster);
    if (own === undefined) members.set(cluster, [row]);
    else own.push(row);
  }
  return [...members].sort(([left], [right]) => left - right);
}
