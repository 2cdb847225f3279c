import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { LinearSpec } from '../model/index.js';

/** A linear's weight [rows, columns] = [out, in] as float32 on the host, however it is stored. */
export async function readWeight(checkpoint: Checkpoint, spec: LinearSpec): Promise<Float32Array> {
  const stored = await readFloats(checkpoint, spec.weight);
  return spec.layout === 'in-out' ? transposed(stored, spec.columns, spec.rows) : stored;
}

/** Values [rows, columns] in the order in which the weight's elements are stored. */
export function inStoredOrder(
  values: Float32Array,
  { rows, columns, layout }: Pick<LinearSpec, 'rows' | 'columns' | 'layout'>,
): Float32Array {
  return layout === 'in-out' ? transposed(values, rows, columns) : values;
}

/** [rows, columns] → [columns, rows]. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) result[column * rows + row] = values[row * columns + column]!;
  }
  return result;
}
