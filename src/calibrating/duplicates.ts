import { SimilarSets } from './min-hash.js';
import { jaccard, shinglesOf, wordsOf } from './shingles.js';

/** Words of a shingle: five in a row are seldom the same by chance. */
const SHINGLE_WORDS = 5;

/**
 * Texts that share this part of their shingles are one text, retold. Lee et al. 2022 take 0.8 for whole documents; a changed word
 * weighs more in a passage of some hundred.
 */
export const NEAR = 0.7;

/**
 * Texts are compared by so many characters from their beginning: those that agree for fifty thousand words are one text, and the words
 * of a file of 16 MiB would take half a gigabyte.
 */
const COMPARED_CHARACTERS = 2 ** 18;

/** What `Deduplicator.take` says of a text. */
export type Finding = 'new' | 'exact' | 'near';

/**
 * Remembers texts, and says of each further one whether it was there before: `exact`, but for case, marks and spacing; `near`, when
 * Jaccard's similarity of the word shingles is `NEAR` or more. Duplicates are not remembered.
 */
export class Deduplicator {
  readonly #whole = new Set<string>();
  readonly #similar = new SimilarSets();
  readonly #shingles: Uint32Array[] = [];

  take(text: string): Finding {
    const words = wordsOf(text.slice(0, COMPARED_CHARACTERS));
    const whole = words.join(' ') + text.slice(COMPARED_CHARACTERS);
    if (this.#whole.has(whole)) return 'exact';
    const shingles = shinglesOf(words, SHINGLE_WORDS);
    const isNear = this.#similar.candidates(shingles).some((id) => jaccard(this.#shingles[id]!, shingles) >= NEAR);
    if (isNear) return 'near';
    this.#whole.add(whole);
    this.#similar.add(this.#shingles.length, shingles);
    this.#shingles.push(shingles);
    return 'new';
  }
}
