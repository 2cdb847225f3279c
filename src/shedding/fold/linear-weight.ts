import { type Checkpoint, type MemoryValues, readFloats } from '../../checkpoint/index.js';
import type { LinearSpec } from '../../model/index.js';
import type { Weight } from '../../solvers/index.js';
import { encodeFromF32 } from '../../tensor/index.js';

/** A linear's weights on the host, [rows, columns] = [outputs, inputs] however they are stored. */
export async function readWeight(
  checkpoint: Checkpoint,
  { weight, rows, columns, layout }: LinearSpec,
): Promise<Weight> {
  const stored = await readFloats(checkpoint, weight);
  return { values: layout === 'in-out' ? transposed(stored, columns, rows) : stored, rows, columns };
}

/** The bytes that a linear's new weights are stored as: in the type and layout that it has. */
export function storedWeight(
  checkpoint: Checkpoint,
  { weight: name, layout }: LinearSpec,
  weight: Weight,
): MemoryValues {
  const info = checkpoint.tensors.get(name)!;
  const values = layout === 'in-out' ? transposed(weight.values, weight.rows, weight.columns) : weight.values;
  return { info, bytes: encodeFromF32(values, info.dtype) };
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) result[column * rows + row] = values[row * columns + column]!;
  }
  return result;
}
