import { fullMask, type Mask } from './mask.js';
import { removedCount } from './removal.js';
import { type MatrixScores, rankKeys } from './scores.js';
import { type Boundary, locate, removeBelow } from './select.js';

/** Keys have 31 bits: 15 high, 16 low. */
const LOW_BITS = 16;
const LOW_MASK = 2 ** LOW_BITS - 1;
const HIGH_BINS = 2 ** 15;
const LOW_BINS = 2 ** LOW_BITS;

export interface NamedMask {
  readonly name: string;
  readonly mask: Mask;
}

/**
 * Yields a mask for each matrix, in order, that together remove exactly ⌊n · sparsity⌋ of the n weights of all of them: the
 * smallest scores, ties by matrix order, then index. `scoresOf` is called three times for each matrix and must give the same
 * scores each time; no more than one matrix's scores are held.
 *
 * Radix selection over single-precision bit patterns: a histogram of the high half, one of the low half inside the bin where
 * the boundary lies, then the masks.
 */
export async function* maskGlobally(
  names: readonly string[],
  sparsity: number,
  scoresOf: (name: string) => Promise<MatrixScores>,
): AsyncGenerator<NamedMask> {
  const boundary = await globalBoundary(names, sparsity, scoresOf);
  let ties = boundary.ties;
  for (const name of names) {
    const scores = await scoresOf(name);
    const mask = fullMask(scores.rows, scores.columns);
    const keys = rankKeys(scores);
    ties = removeBelow(keys, mask.bits, { start: 0, end: keys.length }, { key: boundary.key, ties });
    yield { name, mask };
  }
}

async function globalBoundary(
  names: readonly string[],
  sparsity: number,
  scoresOf: (name: string) => Promise<MatrixScores>,
): Promise<Boundary> {
  // Counts pass 2³¹ over a whole model.
  const high = new Float64Array(HIGH_BINS);
  let total = 0;
  for (const name of names) {
    const keys = rankKeys(await scoresOf(name));
    total += keys.length;
    for (let i = 0; i < keys.length; i++) high[keys[i]! >>> LOW_BITS]! += 1;
  }
  const removed = removedCount(total, sparsity);
  if (removed === 0) return { key: -1, ties: 0 };
  const { bin, rank } = locate(high, removed - 1);
  const low = new Float64Array(LOW_BINS);
  for (const name of names) {
    const keys = rankKeys(await scoresOf(name));
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if (key >>> LOW_BITS === bin) low[key & LOW_MASK]! += 1;
    }
  }
  const place = locate(low, rank);
  return { key: bin * LOW_BINS + place.bin, ties: place.rank + 1 };
}
