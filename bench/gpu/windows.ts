import { seededRandom } from '../../src/random.js';

/** Windows of tokens drawn evenly from the vocabulary, the same every time. */
export function randomWindows(count: number, context: number, vocabulary: number): { readonly ids: Int32Array }[] {
  const random = seededRandom(count);
  return Array.from({ length: count }, () => ({
    ids: Int32Array.from({ length: context }, () => random.below(vocabulary)),
  }));
}
