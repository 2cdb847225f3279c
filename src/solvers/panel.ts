/** Storage of a dense matrix: single precision where it is large, double where it is small. */
export type Reals = Float32Array | Float64Array;

/** A rectangle of a row-major matrix whose rows are `stride` elements apart. */
export interface Panel {
  readonly values: Reals;
  readonly stride: number;
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

/** The whole of a row-major matrix. */
export function wholePanel(values: Reals, rows: number, columns: number): Panel {
  return { values, stride: columns, row: 0, column: 0, rows, columns };
}

/** Where row `row` of the panel begins in its values. */
export function rowStart(panel: Panel, row: number): number {
  return (panel.row + row) * panel.stride + panel.column;
}

/** Rows [start, start + count) of a panel. */
export function rowsOfPanel(panel: Panel, start: number, count: number): Panel {
  return { ...panel, row: panel.row + start, rows: count };
}

/** Columns [start, start + count) of a panel. */
export function columnsOfPanel(panel: Panel, start: number, count: number): Panel {
  return { ...panel, column: panel.column + start, columns: count };
}

/** The panel's elements one row after the other, without gaps, in double precision. */
export function packDoubles(panel: Panel): Float64Array {
  return packInto(new Float64Array(panel.rows * panel.columns), panel);
}

/** As `packDoubles`, in single precision. */
export function packSingles(panel: Panel): Float32Array {
  return packInto(new Float32Array(panel.rows * panel.columns), panel);
}

function packInto<Packed extends Reals>(packed: Packed, panel: Panel): Packed {
  const { values, rows, columns } = panel;
  for (let row = 0; row < rows; row += 1) {
    const start = rowStart(panel, row);
    packed.set(values.subarray(start, start + columns), row * columns);
  }
  return packed;
}

/** Writes packed elements back into the panel. */
export function unpack(packed: Reals, panel: Panel): void {
  const { values, rows, columns } = panel;
  for (let row = 0; row < rows; row += 1) {
    values.set(packed.subarray(row * columns, (row + 1) * columns), rowStart(panel, row));
  }
}
