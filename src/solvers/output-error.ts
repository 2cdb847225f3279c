import type { Device } from '../tensor/index.js';
import type { Gram } from './damping.js';
import { columnsOfPanel, rowsOfPanel, wholePanel } from './panel.js';
import { matrixProducts } from './products.js';

/** Changes of a matrix's weights, row-major. */
export interface WeightChange {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/**
 * Δ_g G_gg Δ_gᵀ for each row and each group g of `groupColumns` consecutive columns, [rows, groups]: the squared error that the
 * change of these columns alone makes in each output over the tokens of the Gram matrix. With one group of all columns that is
 * the whole error. The last group may be shorter.
 */
export async function groupErrors(
  change: WeightChange,
  gram: Gram,
  groupColumns: number,
  device?: Device,
): Promise<Float64Array> {
  const { values, rows, columns } = change;
  const products = matrixProducts(device);
  const groups = Math.ceil(columns / groupColumns);
  const errors = new Float64Array(rows * groups);
  for (let group = 0, first = 0; group < groups; group += 1, first += groupColumns) {
    const count = Math.min(groupColumns, columns - first);
    const block = rowsOfPanel(columnsOfPanel(wholePanel(gram.values, columns, columns), first, count), first, count);
    const image = new Float32Array(rows * count);
    const part = columnsOfPanel(wholePanel(values, rows, columns), first, count);
    await products.subtract(wholePanel(image, rows, count), part, block);
    for (let row = 0; row < rows; row += 1) {
      let sum = 0;
      for (let j = 0, at = row * columns + first, to = row * count; j < count; j += 1)
        sum -= values[at + j]! * image[to + j]!;
      errors[row * groups + group] = sum;
    }
  }
  return errors;
}

/** Σ Δ G Δᵀ: the squared error of all outputs over the tokens of the Gram matrix. */
export async function outputError(change: WeightChange, gram: Gram, device?: Device): Promise<number> {
  const errors = await groupErrors(change, gram, change.columns, device);
  return errors.reduce((sum, error) => sum + error, 0);
}
