import { BirdboneError } from '../errors.js';
import { Distribution, type HistogramBin, QUANTILES, type Quantile } from './distribution.js';
import { standardScores } from './standard-scores.js';

/** One matrix's scores at a glance. */
export interface ScoreSummary {
  readonly count: number;
  readonly zeros: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Within 1/128 of their value, and between min and max. */
  readonly quantiles: readonly Quantile[];
  readonly histogram: readonly HistogramBin[];
}

/** Mean and largest score of each of a matrix's rows, columns or heads, by index. */
export interface GroupSummary {
  readonly mean: readonly number[];
  readonly max: readonly number[];
  /** The means as `standardScores` among those of the matrix: comparable with other matrices'. */
  readonly standard: readonly number[];
}

/** Which consecutive rows or columns belong to one attention head. */
export interface HeadGroups {
  readonly axis: 'rows' | 'columns';
  readonly headDim: number;
}

export interface MatrixSummary {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly all: ScoreSummary;
  /** Output channels: FFN channels of gate and up. */
  readonly byRow: GroupSummary;
  /** Input channels: FFN channels of down. */
  readonly byColumn: GroupSummary;
  /** Query heads of q and o, key and value heads of k and v; absent where the matrix has no heads. */
  readonly byHead?: GroupSummary;
}

/** How a linear's weights divide into heads by its role: rows of q, k and v (in one weight, too), columns of o, undefined for the others. */
export function headGroups(role: string, headDim: number): HeadGroups | undefined {
  if (role === 'o') return { axis: 'columns', headDim };
  return ['q', 'k', 'v', 'qkv'].includes(role) ? { axis: 'rows', headDim } : undefined;
}

/**
 * Summarizes a matrix's scores that come in row slices: any slicing gives the same figures, and memory does not grow
 * with the number of rows × columns. Sums are f64.
 *
 * @example
 * const aggregate = new MatrixAggregate({ name, rows, columns }, headGroups('q', 64));
 * for await (const slice of slices) aggregate.add(slice);
 * const summary = aggregate.finish();
 */
export class MatrixAggregate {
  readonly #matrix: { readonly name: string; readonly rows: number; readonly columns: number };
  readonly #heads: HeadGroups | undefined;
  readonly #distribution = new Distribution();
  readonly #rowSums: Float64Array;
  readonly #rowMax: Float64Array;
  readonly #columnSums: Float64Array;
  readonly #columnMax: Float64Array;
  #min = Number.POSITIVE_INFINITY;
  #zeros = 0;
  #seenRows = 0;

  constructor(matrix: { readonly name: string; readonly rows: number; readonly columns: number }, heads?: HeadGroups) {
    if (heads !== undefined && matrix[heads.axis] % heads.headDim !== 0) {
      throw new Error(`${matrix.name}: ${matrix[heads.axis]} ${heads.axis} are not heads of ${heads.headDim}`);
    }
    this.#matrix = matrix;
    this.#heads = heads;
    this.#rowSums = new Float64Array(matrix.rows);
    this.#rowMax = new Float64Array(matrix.rows);
    this.#columnSums = new Float64Array(matrix.columns);
    this.#columnMax = new Float64Array(matrix.columns);
  }

  /** Takes the next rows, row-major, whole rows only. Throws `unsupported` for a score that is not a finite number ≥ 0. */
  add(slice: Float32Array): void {
    const { columns, rows } = this.#matrix;
    const count = slice.length / columns;
    if (!Number.isInteger(count) || this.#seenRows + count > rows) {
      throw new Error(`${this.#matrix.name}: ${slice.length} scores are not the next rows of ${rows} × ${columns}`);
    }
    for (let row = 0; row < count; row++) {
      this.#addRow(slice.subarray(row * columns, (row + 1) * columns), this.#seenRows + row);
    }
    this.#distribution.add(new Int32Array(slice.buffer, slice.byteOffset, slice.length));
    this.#seenRows += count;
  }

  /** The summary of all rows. */
  finish(): MatrixSummary {
    const { name, rows, columns } = this.#matrix;
    if (this.#seenRows !== rows) throw new Error(`${name}: scores of ${this.#seenRows} of ${rows} rows were added`);
    const byRow = summarizeGroups(this.#rowSums, this.#rowMax, { perGroup: 1, weights: columns });
    const byColumn = summarizeGroups(this.#columnSums, this.#columnMax, { perGroup: 1, weights: rows });
    const byHead = this.#summarizeHeads();
    return { name, rows, columns, all: this.#summarizeAll(), byRow, byColumn, ...(byHead && { byHead }) };
  }

  #addRow(values: Float32Array, row: number): void {
    let sum = 0;
    let max = 0;
    let min = this.#min;
    for (let column = 0; column < values.length; column++) {
      const value = values[column]!;
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) this.#refuse(value, row, column);
      sum += value;
      if (value > max) max = value;
      if (value < min) min = value;
      if (value === 0) this.#zeros += 1;
      this.#columnSums[column]! += value;
      if (value > this.#columnMax[column]!) this.#columnMax[column] = value;
    }
    this.#rowSums[row] = sum;
    this.#rowMax[row] = max;
    this.#min = min;
  }

  #refuse(value: number, row: number, column: number): never {
    const { name } = this.#matrix;
    throw new BirdboneError(
      'unsupported',
      `The score of ${name}[${row}, ${column}] is ${value}; scores are finite numbers from 0.`,
      {
        tensor: name,
        suggestions: [
          'Score by the weights alone, --metric magnitude: if that fails too, the weights themselves are damaged.',
          'Compare the checkpoint with its published checksums.',
        ],
      },
    );
  }

  #summarizeAll(): ScoreSummary {
    const count = this.#matrix.rows * this.#matrix.columns;
    const max = this.#rowMax.reduce((most, value) => Math.max(most, value), 0);
    const min = this.#min;
    const quantiles = QUANTILES.map((fraction) => {
      return { fraction, value: Math.min(max, Math.max(min, this.#distribution.quantile(fraction))) };
    });
    const mean = this.#rowSums.reduce((sum, value) => sum + value, 0) / count;
    return { count, zeros: this.#zeros, mean, min, max, quantiles, histogram: this.#distribution.histogram() };
  }

  #summarizeHeads(): GroupSummary | undefined {
    if (this.#heads === undefined) return undefined;
    const { axis, headDim } = this.#heads;
    const { rows, columns } = this.#matrix;
    return axis === 'rows'
      ? summarizeGroups(this.#rowSums, this.#rowMax, { perGroup: headDim, weights: headDim * columns })
      : summarizeGroups(this.#columnSums, this.#columnMax, { perGroup: headDim, weights: headDim * rows });
  }
}

/** Folds `perGroup` consecutive sums and maxima into one group that holds `weights` weights. */
function summarizeGroups(
  sums: Float64Array,
  maxima: Float64Array,
  { perGroup, weights }: { perGroup: number; weights: number },
): GroupSummary {
  const mean: number[] = [];
  const max: number[] = [];
  for (let start = 0; start < sums.length; start += perGroup) {
    mean.push(sums.subarray(start, start + perGroup).reduce((sum, value) => sum + value, 0) / weights);
    max.push(maxima.subarray(start, start + perGroup).reduce((most, value) => Math.max(most, value), 0));
  }
  return { mean, max, standard: standardScores(mean) };
}
