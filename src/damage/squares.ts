/** Sums over the values of some outputs Y and what has become of them, Y'. */
export interface Squares {
  /** Σ (Y' − Y)². */
  difference: number;
  /** Σ Y², Σ Y'². */
  before: number;
  after: number;
  /** Σ Y' Y. */
  product: number;
}

export function noSquares(): Squares {
  return { difference: 0, before: 0, after: 0, product: 0 };
}

export function addPair(sums: Squares, before: number, after: number): void {
  sums.difference += (after - before) ** 2;
  sums.before += before * before;
  sums.after += after * after;
  sums.product += after * before;
}

/** ‖Y' − Y‖ / ‖Y‖; of an output that was zero everything is off. */
export function relativeErrorOf({ difference, before }: Squares): number {
  if (difference === 0) return 0;
  return before === 0 ? 1 : Math.sqrt(difference / before);
}

/** ⟨Y', Y⟩ / (‖Y'‖ ‖Y‖); null where either is zero. */
export function cosineOf({ before, after, product }: Squares): number | null {
  const size = Math.sqrt(before) * Math.sqrt(after);
  return size > 0 ? Math.max(-1, Math.min(1, product / size)) : null;
}
