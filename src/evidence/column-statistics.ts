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
import { columnSquares, type Device } from '../tensor/index.js';
import { type Collector, summedRanges } from './collector.js';

/** Sums of some rows [n, columns] → [k, columns] float32, one row a sum. */
type RowSums = (values: Tensor2D) => Tensor2D;
/** Adds the sums of `rows` rows, [k, columns] flattened, to what is known. */
type Merge = (sums: Float32Array, rows: number) => void;

/** The part that all column statistics share: sums of a few rows on the device, their merge on the host. */
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
    const [rows, columns] = values.shape;
    for (const { start, count } of summedRanges(rows)) {
      const sums = tidy(() => this.#sums(count === rows ? values : slice(values, [start, 0], [count, columns])));
      this.#pending.push({ rows: count, sums: keep(sums) });
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

/** ‖X_j‖₂: what Wanda scales a weight's magnitude with (Sun et al. 2023). */
export function normsCollector(columns: number, device: Device): Collector {
  const squares = new Float64Array(columns);
  const sums = new ColumnSums(
    device,
    (values) => reshape(columnSquares(values), [1, columns]),
    (found) => addTo(squares, found),
  );
  return withFinish(sums, () => ({ norms: upload(device, squares.map(Math.sqrt)) }));
}

/** mean |X_j|: the activation score of Minitron (Muralidharan et al. 2024), and AWQ's scale. */
export function absMeansCollector(columns: number, device: Device): Collector {
  const total = new Float64Array(columns);
  let tokens = 0;
  const sums = new ColumnSums(
    device,
    (values) => columnSums(abs(values)),
    (found, rows) => {
      addTo(total, found);
      tokens += rows;
    },
  );
  return withFinish(sums, () => ({ absMeans: upload(device, mean(total, tokens)) }));
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
  return withFinish(sums, () => ({ absMaxima: upload(device, largest) }));
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
  return withFinish(sums, () => ({ moments: { mean: upload(device, means), variance: upload(device, variances()) } }));
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

function withFinish(sums: ColumnSums, finish: Collector['finish']): Collector {
  return {
    observe: (values) => sums.observe(values),
    settle: () => sums.settle(),
    drop: () => sums.drop(),
    finish,
  };
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
