/**
 * Adds the product of two row-major matrices to a third: `values` [rows, columns] += left [rows, rank] × right [rank, columns]. Sums
 * are in float64, in the order of the rank, and rounded to float32 once.
 */
export function addProduct(
  values: Float32Array,
  {
    left,
    right,
    rank,
    columns,
  }: Readonly<Record<'left' | 'right', Float32Array>> & Readonly<Record<'rank' | 'columns', number>>,
): void {
  const sums = new Float64Array(columns);
  const rows = values.length / columns;
  for (let row = 0; row < rows; row += 1) {
    const at = row * columns;
    for (let column = 0; column < columns; column += 1) sums[column] = values[at + column]!;
    for (let inner = 0; inner < rank; inner += 1) {
      const factor = left[row * rank + inner]!;
      const from = inner * columns;
      for (let column = 0; column < columns; column += 1) sums[column]! += factor * right[from + column]!;
    }
    for (let column = 0; column < columns; column += 1) values[at + column] = sums[column]!;
  }
}
