import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import type { WeightRows } from '../lowrank/index.js';
import type { LinearSpec, Model } from '../model/index.js';

/** A block's linears that may become factors: all but the router of experts, whose few weights decide where tokens go. */
export function factorizableLinears(model: Model, index: number): readonly LinearSpec[] {
  return model.decoder.blocks[index]!.linears.filter(({ role }) => role !== 'router');
}

/** The same of the whole model, in model order. */
export function allFactorizable(model: Model): readonly LinearSpec[] {
  return model.decoder.blocks.flatMap(({ index }) => factorizableLinears(model, index));
}

/** A linear's weight by rows = outputs, however it is stored. One that is stored transposed is read whole, and once. */
export function weightRows(checkpoint: Checkpoint, { weight, rows, columns, layout }: LinearSpec): WeightRows {
  const shape = { name: weight, rows, columns };
  if (layout !== 'in-out') {
    return { ...shape, read: (start, count) => readFloats(checkpoint, weight, { start, count }) };
  }
  let whole: Promise<Float32Array> | undefined;
  return {
    ...shape,
    async read(first, count) {
      whole ??= readFloats(checkpoint, weight).then((stored) => transposed(stored, columns, rows));
      return (await whole).slice(first * columns, (first + count) * columns);
    },
  };
}

/** Values [rows, columns] in the order in which the weight's elements are stored. */
export function inStoredOrder(values: Float32Array, { rows, columns, layout }: LinearSpec): Float32Array {
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
