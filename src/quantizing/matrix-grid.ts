import {
  type ElementType,
  elementsOf,
  findScales,
  type QuantizedMatrix,
  type ScaleSearch,
  type Scales,
  type Scheme,
  tilesOf,
} from '../quantization/index.js';
import type { Grid, RoundingTiles } from '../solvers/index.js';

export interface GridOptions {
  readonly search: ScaleSearch;
  /** Scales of groups are fitted before the sweep, to the weights as they were: what another order of the columns needs. */
  readonly fittedBefore: boolean;
}

interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** What a scheme lets the weights of one matrix become, for `gptq`, and the codes that they got. */
export class MatrixGrid implements Grid {
  readonly groupColumns?: number;
  readonly #scheme: Scheme;
  readonly #shape: Pick<Matrix, 'rows' | 'columns'>;
  readonly #search: ScaleSearch;
  readonly #elements: ElementType;
  readonly #codes: Uint8Array;
  readonly #scales: Scales;
  readonly #tileRows: number;
  readonly #tileColumns: number;
  readonly #across: number;
  readonly #value = new Float32Array(1);
  readonly #run: { scale: number; zero: number; codes: Uint8Array; at: number };

  /** `weights` as they are before the sweep. */
  constructor({ values, rows, columns }: Matrix, scheme: Scheme, { search, fittedBefore }: GridOptions) {
    const { grid, tileRows, tileColumns } = tilesOf(scheme, rows, columns);
    this.#scheme = scheme;
    this.#shape = { rows, columns };
    this.#search = search;
    this.#elements = elementsOf(scheme);
    this.#codes = new Uint8Array(rows * columns);
    [this.#tileRows, this.#tileColumns, this.#across] = [tileRows, tileColumns, grid[1]];
    this.#run = { scale: 0, zero: 0, codes: this.#codes, at: 0 };
    // Scales that are codes themselves depend on all others: they cannot come one group after the other.
    const onTheWay = scheme.strategy === 'group' && !fittedBefore && !scheme.doubleQuantization;
    if (onTheWay) {
      this.groupColumns = tileColumns;
      this.#scales = emptyScales(scheme, grid);
    } else {
      this.#scales = findScales(values, rows, columns, scheme, { search });
    }
  }

  fit(firstColumn: number, { values, columns }: { readonly values: Float32Array; readonly columns: number }): void {
    const { rows } = this.#shape;
    const scheme: Scheme = { ...this.#scheme, strategy: 'group', groupSize: columns };
    const found = findScales(values, rows, columns, scheme, { search: this.#search });
    const group = firstColumn / this.#tileColumns;
    for (let row = 0; row < rows; row += 1) {
      this.#scales.values[row * this.#across + group] = found.values[row]!;
      if (found.zeroPoints) this.#scales.zeroPoints![row * this.#across + group] = found.zeroPoints[row]!;
    }
  }

  /** What a device rounds by: integers whose scales stand. */
  tiles(): RoundingTiles | undefined {
    const { type, bits } = this.#scheme;
    if (type !== 'int' || this.groupColumns !== undefined) return undefined;
    const { rows, columns: width } = this.#shape;
    const values = new Float32Array(2 * rows * this.#across);
    for (let row = 0, next = 0; row < rows; row += 1) {
      const first = Math.floor(row / this.#tileRows) * this.#across;
      for (let index = first; index < first + this.#across; index += 1) {
        values[next++] = this.#scales.values[index]!;
        values[next++] = this.#scales.zeroPoints?.[index] ?? this.#elements.center;
      }
    }
    return {
      most: 2 ** bits - 1,
      values,
      groupOf: (column) => Math.floor(column / this.#tileColumns),
      take: (columns, codes) => {
        for (let row = 0, next = 0; row < rows; row += 1) {
          for (const column of columns) this.#codes[row * width + column] = codes[next++]!;
        }
      },
    };
  }

  round(row: number, column: number, weight: number): number {
    const index = Math.floor(row / this.#tileRows) * this.#across + Math.floor(column / this.#tileColumns);
    const run = this.#run;
    run.scale = this.#scales.values[index]!;
    run.zero = this.#scales.zeroPoints?.[index] ?? this.#elements.center;
    run.at = row * this.#shape.columns + column;
    this.#value[0] = weight;
    this.#elements.encode(this.#value, 0, 1, run);
    return Math.fround((this.#elements.levels[this.#codes[run.at]!]! - run.zero) * run.scale);
  }

  /** The matrix in its codes, once every weight has been rounded. */
  result(): QuantizedMatrix {
    return { scheme: this.#scheme, ...this.#shape, codes: this.#codes, scales: this.#scales };
  }
}

function emptyScales({ symmetric }: Scheme, shape: readonly [number, number]): Scales {
  const count = shape[0] * shape[1];
  return { shape, values: new Float32Array(count), ...(!symmetric && { zeroPoints: new Uint8Array(count) }) };
}
