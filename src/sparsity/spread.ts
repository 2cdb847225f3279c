/** A matrix that can take on a fixed pattern. */
export interface PatternMatrix {
  readonly name: string;
  readonly elements: number;
}

/** Shares nearer to the fraction than this are equal to it: above f64 rounding, below one weight in any real model. */
const SAME = 1e-12;

/**
 * The names of the matrices that have a fixed pattern (N:M) when `fraction` of the weights shall: as many as fit, never more
 * than the fraction. Larger fractions only add matrices; 1 has them all.
 *
 * Matrices, given in model order, join in bit-reversed order (van der Corput 1935), so that at every fraction those that have
 * the pattern lie evenly over the depth of the model instead of filling its first blocks.
 */
export function matricesWithPattern(matrices: readonly PatternMatrix[], fraction: number): ReadonlySet<string> {
  const total = matrices.reduce((sum, matrix) => sum + matrix.elements, 0);
  const names = new Set<string>();
  let covered = 0;
  for (const index of bitReversedOrder(matrices.length)) {
    const matrix = matrices[index]!;
    covered += matrix.elements;
    if (covered > (fraction + SAME) * total) break;
    names.add(matrix.name);
  }
  return names;
}

/** 0 … count − 1 in the order of their bits read backwards: 0, 4, 2, 6, 1, 5, 3, 7. */
function bitReversedOrder(count: number): number[] {
  const width = Math.ceil(Math.log2(Math.max(2, count)));
  const order: number[] = [];
  for (let i = 0; i < 2 ** width; i++) {
    let reversed = 0;
    for (let bit = 0; bit < width; bit++) reversed = reversed * 2 + (Math.floor(i / 2 ** bit) % 2);
    if (reversed < count) order.push(reversed);
  }
  return order;
}
