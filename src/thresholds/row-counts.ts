/**
 * How many weights each row of a cluster loses when the cluster loses `count` in all: the same number, but no row fewer than are gone of
 * it already; of the last odd weights one in each of the first rows. Throws RangeError for more than there are, or fewer than are gone.
 */
export function rowCounts(count: number, gone: ArrayLike<number>, columns: number): Int32Array {
  const rows = gone.length;
  const sumAt = (level: number) => {
    let sum = 0;
    for (let row = 0; row < rows; row += 1) sum += Math.max(gone[row]!, level);
    return sum;
  };
  if (count > rows * columns || count < sumAt(0)) {
    throw new RangeError(`${count} weights of ${rows} rows of ${columns}, of which ${sumAt(0)} are gone`);
  }
  // The highest level that all rows can lose.
  let [low, high] = [0, columns];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (sumAt(middle) <= count) low = middle;
    else high = middle - 1;
  }
  const counts = Int32Array.from({ length: rows }, (_, row) => Math.max(gone[row]!, low));
  let odd = count - sumAt(low);
  for (let row = 0; row < rows && odd > 0; row += 1) {
    if (counts[row]! > low || low === columns) continue;
    counts[row]! += 1;
    odd -= 1;
  }
  return counts;
}
