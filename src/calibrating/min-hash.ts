import { seededRandom } from '../random.js';
import { mix } from './shingles.js';

/** Hash functions in bands of four: two sets of which 7 in 10 are shared meet in some band in all but 2 of 10 000 cases. */
const BANDS = 32;
const ROWS = 4;

/** The same functions always: what counts as a duplicate does not depend on a seed. */
const RANDOM = seededRandom(0x5e75);
const SEEDS = Uint32Array.from({ length: BANDS * ROWS }, () => RANDOM.bits());

/**
 * Finds sets that are likely to be similar to one that was added before, by the smallest hash of their elements under many hash
 * functions (MinHash, Broder 1997) and equal bands of those (locality-sensitive hashing, Indyk & Motwani 1998). There may be others
 * among them: compare the sets themselves.
 */
export class SimilarSets {
  readonly #bands: readonly Map<string, number[]>[] = Array.from({ length: BANDS }, () => new Map());

  /** What was added, with a band in common; ascending. */
  candidates(set: Uint32Array): readonly number[] {
    const found = new Set<number>();
    for (const [band, key] of keysOf(set).entries()) for (const id of this.#bands[band]!.get(key) ?? []) found.add(id);
    return [...found].sort((left, right) => left - right);
  }

  add(id: number, set: Uint32Array): void {
    for (const [band, key] of keysOf(set).entries()) {
      const ids = this.#bands[band]!.get(key);
      if (ids === undefined) this.#bands[band]!.set(key, [id]);
      else ids.push(id);
    }
  }
}

function keysOf(set: Uint32Array): string[] {
  const signature = signatureOf(set);
  return Array.from({ length: BANDS }, (_, band) => signature.subarray(band * ROWS, (band + 1) * ROWS).join());
}

/** The smallest hash of the set's elements under each function. */
function signatureOf(set: Uint32Array): Uint32Array {
  const signature = new Uint32Array(SEEDS.length).fill(0xffff_ffff);
  for (const element of set) {
    for (let k = 0; k < signature.length; k += 1) {
      const hash = mix(element ^ SEEDS[k]!);
      if (hash < signature[k]!) signature[k] = hash;
    }
  }
  return signature;
}
