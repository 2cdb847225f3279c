import {
  abs,
  concat,
  div,
  keep,
  matMul,
  max,
  ones,
  reshape,
  slice,
  sub,
  type Tensor1D,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import { columnSquares, type Device, RunningSums } from '../tensor/index.js';
import { type Collector, summedRanges } from './collector.js';

/** Sums of some rows [n, columns] → [k, columns] float32, one row a sum. */
type RowSums = (values: Tensor2D) => Tensor2D;
/** Adds the sums of `rows` rows, [k, columns] flattened, to what is known. */
type Merge = (sums: Float32Array, rows: number) => void;

/** What statistics that are merged on the host share: sums of a few rows on the device, read after each batch. */
class ColumnSums {
  readonly #device: Device;
  readonly #sums: RowSums;
  readonly #merge: Merge;
  #pending: { readonly rows: number; readonly sums: Tensor2D }[] = [];

  constructor(device: Device, sums: RowSums, merge: Merge) {
    this.#device = device;
    this.#sums = sums;
    this.#merge = merge;
  }

  observe(values: Tensor2D): void {
    for (const range of summedRanges(values.shape[0])) {
      const sums = tidy(() => this.#sums(rowsOf(values, range)));
      this.#pending.push({ rows: range.count, sums: keep(sums) });
    }
  }

  async settle(): Promise<void> {
    try {
      for (const { rows, sums } of this.#pending) this.#merge((await this.#device.read(sums)) as Float32Array, rows);
    } finally {
      this.drop();
    }
  }

  drop(): void {
    for (const { sums } of this.#pending) sums.dispose();
    this.#pending = [];
  }
}

/** Sums [1, columns] of a few rows, added up over all batches: on the device where it keeps sums, else on the host in float64. */
interface ColumnTotals extends Omit<Collector, 'finish'> {
  /** After the last batch: Σ over all rows, and how many there were. */
  totals(): Promise<{ readonly sums: Float64Array; readonly rows: number }>;
}

function columnTotals(columns: number, device: Device, sumsOf: RowSums): ColumnTotals {
  const kept = RunningSums.open([columns], device);
  let rows = 0;
  if (kept === undefined) {
    const total = new Float64Array(columns);
    const sums = new ColumnSums(device, sumsOf, (found, count) => {
      addTo(total, found);
      rows += count;
    });
    return { ...stepsOf(sums), totals: async () => ({ sums: total, rows }) };
  }
  return {
    observe(values) {
      rows += values.shape[0];
      for (const range of summedRanges(values.shape[0])) tidy(() => kept.add(0, sumsOf(rowsOf(values, range))));
    },
    settle: () => kept.settle(),
    totals: async () => ({ sums: Float64Array.from((await kept.take(0)) ?? new Float32Array(columns)), rows }),
    drop: () => kept.drop(),
  };
}

/** ‖X_j‖₂: what Wanda scales a weight's magnitude with (Sun et al. 2023). */
export function normsCollector(columns: number, device: Device): Collector {
  const { totals, ...steps } = columnTotals(columns, device, (values) => reshape(columnSquares(values), [1, columns]));
  return { ...steps, finish: async () => ({ norms: upload(device, (await totals()).sums.map(Math.sqrt)) }) };
}

/** mean |X_j|: the activation score of Minitron (Muralidharan et al. 2024), and AWQ's scale. */
export function absMeansCollector(columns: number, device: Device): Collector {
  const { totals, ...steps } = columnTotals(columns, device, (values) => columnSums(abs(values)));
  const finish = async () => {
    const { sums, rows } = await totals();
    return { absMeans: upload(device, mean(sums, rows)) };
  };
  return { ...steps, finish };
}

/** max |X_j|: what SmoothQuant moves from activations into weights (Xiao et al. 2023). */
export function absMaximaCollector(columns: number, device: Device): Collector {
  const largest = new Float64Array(columns);
  const sums = new ColumnSums(
    device,
    (values) => reshape(max(abs(values), 0), [1, columns]) as Tensor2D,
    (found) => {
      for (let j = 0; j < columns; j += 1) largest[j] = Math.max(largest[j]!, found[j]!);
    },
  );
  return { ...stepsOf(sums), finish: async () => ({ absMaxima: upload(device, largest) }) };
}

/**
 * Mean and variance by Chan, Golub & LeVeque 1979: each group of rows gives its mean and its squares about that mean, and groups
 * are merged in float64. Unlike E[x²] − E[x]² it keeps the variance of a column whose mean is far larger than its deviation.
 */
export function momentsCollector(columns: number, device: Device): Collector {
  const means = new Float64Array(columns);
  const squares = new Float64Array(columns);
  let tokens = 0;
  const sums = new ColumnSums(device, aboutMean, (found, rows) => {
    const all = tokens + rows;
    for (let j = 0; j < columns; j += 1) {
      // The device's mean is rounded: what is left of it shows in the deviations' own mean.
      const rest = found[columns + j]! / rows;
      const delta = found[j]! + rest - means[j]!;
      means[j]! += (delta * rows) / all;
      squares[j]! += found[2 * columns + j]! - rest * rest * rows + (delta * delta * tokens * rows) / all;
    }
    tokens = all;
  });
  const variances = () => mean(squares, tokens).map((variance) => Math.max(0, variance));
  const finish = async () => ({ moments: { mean: upload(device, means), variance: upload(device, variances()) } });
  return { ...stepsOf(sums), finish };
}

/** [n, columns] → its mean m, Σ (x − m) and Σ (x − m)², [3, columns]. */
function aboutMean(values: Tensor2D): Tensor2D {
  const [rows, columns] = values.shape;
  const centre = div(columnSums(values), rows) as Tensor2D;
  const deviations = sub(values, centre) as Tensor2D;
  return concat([centre, columnSums(deviations), reshape(columnSquares(deviations), [1, columns])] as Tensor2D[], 0);
}

/** Σ over rows, [1, columns]: as a product, since sums along the first axis transpose the matrix on some devices. */
function columnSums(values: Tensor2D): Tensor2D {
  return matMul(ones([1, values.shape[0]]) as Tensor2D, values);
}

function rowsOf(values: Tensor2D, { start, count }: { readonly start: number; readonly count: number }): Tensor2D {
  const [rows, columns] = values.shape;
  return count === rows ? values : slice(values, [start, 0], [count, columns]);
}

function stepsOf(sums: ColumnSums): Omit<Collector, 'finish'> {
  return { observe: (values) => sums.observe(values), settle: () => sums.settle(), drop: () => sums.drop() };
}

function addTo(total: Float64Array, values: Float32Array): void {
  for (let j = 0; j < total.length; j += 1) total[j]! += values[j]!;
}

/** 0 where nothing was counted. */
function mean(total: Float64Array, tokens: number): Float64Array {
  return total.map((sum) => sum / Math.max(1, tokens));
}

function upload(device: Device, values: Float64Array): Tensor1D {
  return device.upload(Float32Array.from(values), [values.length]) as Tensor1D;
}
