import type { Removal } from '../solvers/index.js';
import { type FreePattern, fullMask, type Mask, type MatrixScores } from '../sparsity/index.js';
import type { ClusteredRemoval } from './cluster-thresholds.js';

/**
 * Masks a matrix by its clusters: compared by `row`, each row loses its own number; by `layer`, the weights of a cluster compete
 * with each other. A part of the matrix's columns loses its share, so that the parts' losses add up.
 */
export function clusteredMask(
  pattern: FreePattern,
  removal: ClusteredRemoval,
  { columns, compare }: { readonly columns: number; readonly compare: 'row' | 'layer' },
): Removal['mask'] {
  return (scores, firstColumn = 0) => {
    const lostBefore = (count: number, column: number) => Math.round((count * column) / columns);
    const share = (count: number) => lostBefore(count, firstColumn + scores.columns) - lostBefore(count, firstColumn);
    if (compare === 'row') return pattern.mask(scores, { compare, rowCounts: removal.rowCounts.map(share) });
    const mask = fullMask(scores.rows, scores.columns);
    for (const { rows, removed } of removal.clusters) {
      clearRows(mask, rows, pattern.mask(rowsOf(scores, rows), { compare, removed: share(removed) }));
    }
    return mask;
  };
}

function rowsOf({ name, columns, values }: MatrixScores, rows: Int32Array): MatrixScores {
  const some = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    some.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return { name, rows: rows.length, columns, values: some };
}

/** Clears what the mask of some rows removes. */
function clearRows({ bits, columns }: Mask, rows: Int32Array, some: Mask): void {
  for (const [i, row] of rows.entries()) {
    for (let column = 0; column < columns; column += 1) {
      const from = i * columns + column;
      if (((some.bits[from >>> 3]! >>> (from & 7)) & 1) === 1) continue;
      const to = row * columns + column;
      bits[to >>> 3]! &= ~(1 << (to & 7));
    }
  }
}
