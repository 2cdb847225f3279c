import { type DampingOptions, factorDamped, type Gram } from './damping.js';
import { wholePanel } from './panel.js';
import { matrixProducts } from './products.js';
import { solveFromRight } from './triangular.js';

/** A linear's weights on the host, row-major: rows = outputs, columns = inputs. */
export interface Weight {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/**
 * The weights [rows, kept.length] of a linear that only sees the inputs `kept` (column numbers, ascending), such that its
 * outputs are nearest to those of the whole one over the tokens of `gram`: what the removed inputs carried is folded into
 * those that stay. W_K + W_R G_RK (G_KK + dI)⁻¹, the minimiser of ‖W' X_K − W X‖² + d ‖W' − W_K‖²; with nothing removed the
 * weights come back as they were. Neither `weight` nor `gram` is modified.
 *
 * When G_KK cannot be factored with any damping, the removed inputs are dropped without a fold, and `report` gets a notice.
 *
 * Throws RangeError for columns that are not ascending or not there.
 */
export async function leastSquaresFold(
  weight: Weight,
  gram: Gram,
  kept: ArrayLike<number>,
  options: DampingOptions = {},
): Promise<Float32Array> {
  const { rows, columns } = weight;
  if (gram.columns !== columns) throw new RangeError(`A Gram matrix of ${gram.columns} inputs for ${columns} columns.`);
  const columnsKept = Int32Array.from(kept);
  refuseDisorder(columnsKept, columns);
  const removed = complement(columnsKept, columns);
  const folded = takeColumns(weight, columnsKept);
  if (removed.length === 0 || columnsKept.length === 0) return folded;
  const double = columnsKept.length <= DOUBLE_COLUMNS;
  const square = takeBlock(gram, columnsKept, columnsKept, double);
  const damped = await factorDamped(square, columnsKept.length, options);
  if (damped === undefined) {
    options.report?.({ type: 'notice', message: droppedOnly(options.name) });
    return folded;
  }
  const products = matrixProducts(options.device);
  // −W_R G_RK is what `subtract` leaves in a field of zeros; the solution is taken away below, which turns the sign again.
  const sides = double ? new Float64Array(rows * columnsKept.length) : new Float32Array(rows * columnsKept.length);
  const cross = takeBlock(gram, removed, columnsKept, false);
  const dropped = takeColumns(weight, removed);
  await products.subtract(
    wholePanel(sides, rows, columnsKept.length),
    wholePanel(dropped, rows, removed.length),
    wholePanel(cross, removed.length, columnsKept.length),
  );
  await solveFromRight(damped.factor, { values: sides, rows }, products);
  for (let i = 0; i < folded.length; i += 1) folded[i]! -= sides[i]!;
  return folded;
}

/** Up to here the fold is solved in double precision throughout. */
const DOUBLE_COLUMNS = 1024;

function droppedOnly(name = 'a matrix'): string {
  return `The inputs of ${name} are dependent: what was removed could not be folded into the rest, and was dropped.`;
}

function refuseDisorder(kept: Int32Array, columns: number): void {
  for (let i = 0; i < kept.length; i += 1) {
    const before = i === 0 ? -1 : kept[i - 1]!;
    if (kept[i]! <= before || kept[i]! >= columns) {
      throw new RangeError(`Kept column ${kept[i]} after ${before} of ${columns}: they must ascend, each once.`);
    }
  }
}

function complement(kept: Int32Array, columns: number): Int32Array {
  const isKept = new Uint8Array(columns);
  for (const column of kept) isKept[column] = 1;
  return Int32Array.from({ length: columns }, (_, column) => column).filter((column) => isKept[column] === 0);
}

function takeColumns({ values, rows, columns }: Weight, chosen: Int32Array): Float32Array {
  const taken = new Float32Array(rows * chosen.length);
  let next = 0;
  for (let row = 0; row < rows; row += 1) {
    for (const column of chosen) taken[next++] = values[row * columns + column]!;
  }
  return taken;
}

function takeBlock({ values, columns }: Gram, rows: Int32Array, chosen: Int32Array, double: boolean) {
  const block = double ? new Float64Array(rows.length * chosen.length) : new Float32Array(rows.length * chosen.length);
  let next = 0;
  for (const row of rows) {
    for (const column of chosen) block[next++] = values[row * columns + column]!;
  }
  return block;
}
