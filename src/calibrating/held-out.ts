import { sharedBy, shinglesOf, wordsOf } from './shingles.js';

/** Words in a row by which texts of a test are found in others (Brown et al. 2020, appendix C). */
const RUN_WORDS = 13;

/** A passage with this part of its runs in the held-out text was taken from it; a quotation or a formula is less. */
const TAKEN_PART = 0.1;

/** Returns a test of whether a passage was taken from one of the texts that results will be measured on. */
export function heldOut(texts: readonly string[]): (passage: string) => boolean {
  const words = texts.flatMap((text) => [...wordsOf(text)]);
  const runs = shinglesOf(words, RUN_WORDS);
  return (passage) => {
    const own = shinglesOf(wordsOf(passage), RUN_WORDS);
    return own.length > 0 && sharedBy(own, runs) >= TAKEN_PART * own.length;
  };
}
