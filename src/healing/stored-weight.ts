import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { LinearSpec } from '../model/index.js';

/** A linear's weight [rows, columns] as the model reads it, on the host, however it is stored. */
export async function readWeight(checkpoint: Checkpoint, spec: LinearSpec): Promise<Float32Array> {
  const stored = await readFloats(checkpoint, spec.weight);
  if (spec.layout !== 'in-out') return stored;
  const { rows, columns } = spec;
  const values = new Float32Array(stored.length);
  for (let column = 0; column < columns; column += 1) {
    for (let row = 0; row < rows; row += 1) values[row * columns + column] = stored[column * rows + row]!;
  }
  return values;
}
