/** Scripts that are written without spaces: there each letter counts as a word. */
const WORDS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}\p{Script=Myanmar}]|[\p{L}\p{N}\p{M}]+/gu;

/** The words of a text for comparing: case, marks, spacing and forms of one letter make no difference. */
export function wordsOf(text: string): readonly string[] {
  return text.normalize('NFKC').toLowerCase().match(WORDS) ?? [];
}

/**
 * Returns the set of a text's runs of `length` words (Broder 1997), each as a 32-bit hash, ascending; a shorter text is one run.
 */
export function shinglesOf(words: readonly string[], length: number): Uint32Array {
  if (words.length === 0) return new Uint32Array(0);
  const hashes = words.map(wordHash);
  const count = Math.max(1, hashes.length - length + 1);
  const shingles = Uint32Array.from({ length: count }, (_, start) => runHash(hashes, start, length));
  return unique(shingles.sort());
}

/** |A ∩ B| / |A ∪ B| of two ascending sets; 0 for two empty ones. */
export function jaccard(left: Uint32Array, right: Uint32Array): number {
  const shared = sharedBy(left, right);
  const all = left.length + right.length - shared;
  return all === 0 ? 0 : shared / all;
}

/** |A ∩ B| of two ascending sets. */
export function sharedBy(left: Uint32Array, right: Uint32Array): number {
  let shared = 0;
  for (let i = 0, j = 0; i < left.length && j < right.length; ) {
    const [a, b] = [left[i]!, right[j]!];
    if (a === b) shared += 1;
    if (a <= b) i += 1;
    if (b <= a) j += 1;
  }
  return shared;
}

/** The last step of MurmurHash3, a bijection of 32-bit words in which each bit of the result depends on all of the argument. */
export function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** FNV-1a over UTF-16 units. */
function wordHash(word: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < word.length; i += 1) hash = Math.imul(hash ^ word.charCodeAt(i), 0x0100_0193);
  return hash >>> 0;
}

function runHash(hashes: readonly number[], start: number, length: number): number {
  let hash = 0;
  for (const word of hashes.slice(start, start + length)) hash = mix(Math.imul(hash, 31) ^ word);
  return hash;
}

function unique(sorted: Uint32Array): Uint32Array {
  return sorted.filter((value, index) => index === 0 || value !== sorted[index - 1]);
}
