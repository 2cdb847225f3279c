/** Of three candidates that are measured on a part of the text, one goes on to three times as much. */
const RATE = 3;
/** Parts of the text are looked at in so many rounds. */
const ROUNDS = 3;
/** Fewer passages than this say too little to drop a candidate for. */
const FEWEST_PASSAGES = 4;
/** So many go on to the whole text at least: a front of fewer points shows no trade. */
const FEWEST_SURVIVORS = 4;

/**
 * Passages of each round of successive halving, rising to all of them. Source: Jamieson & Talwalkar 2016, "Non-stochastic best arm
 * identification", with the size of the evaluation set as the resource.
 */
export function rounds(passages: number): number[] {
  const sizes = Array.from({ length: ROUNDS }, (_, round) => Math.ceil(passages / RATE ** (ROUNDS - 1 - round)));
  return [...new Set(sizes.map((size) => Math.min(passages, Math.max(FEWEST_PASSAGES, size))))];
}

/** How many of so many candidates go on to the next round. */
export function survivors(candidates: number): number {
  return Math.min(candidates, Math.max(FEWEST_SURVIVORS, Math.ceil(candidates / RATE)));
}

/** What candidates are ranked by: both the lower the better. */
export interface Point {
  readonly bytes: number;
  readonly loss: number;
}

/** The points that no other one beats in one respect and equals or beats in the other, by size. Of equal ones the first. */
export function paretoFront<P extends Point>(points: readonly P[]): P[] {
  const front: P[] = [];
  const sorted = [...points].sort((left, right) => left.bytes - right.bytes || left.loss - right.loss);
  for (const point of sorted) {
    const best = front.at(-1);
    if (best === undefined || point.loss < best.loss) front.push(point);
  }
  return front;
}

/** The points front after front: first those of the Pareto front, then those of the front without these, and so on. */
export function byFronts<P extends Point>(points: readonly P[]): P[] {
  const ranked: P[] = [];
  for (let rest = [...points]; rest.length > 0; ) {
    const front = paretoFront(rest);
    ranked.push(...front);
    rest = rest.filter((point) => !front.includes(point));
  }
  return ranked;
}
