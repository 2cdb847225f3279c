import { END_OF_TEXT } from './generate-text.js';

/** A byte-level BPE vocabulary: ids by token, and the merges in the order they were learned. */
export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [string, string])[];
}

/**
 * GPT-2's split of text into pieces that merges never cross. The same pattern as the `ByteLevel` pre-tokenizer of Hugging Face
 * tokenizers and `tokenizer.ggml.pre = "gpt-2"` of llama.cpp. Source: openai/gpt-2, src/encoder.py.
 */
const PIECES = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** GPT-2's printable stand-in for each byte: itself where it prints, else the next free code point from U+0100 on. */
export function byteCharacters(): string[] {
  const prints = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let free = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(prints(byte) ? byte : free++));
}

/**
 * The `size` token vocabulary of a text: the end-of-text token as id 0, the 256 bytes, then the merges of the pair that is most
 * frequent at each step (of equals, the pair with the lower ids). Pieces with a digit take no part, so that a number is always
 * its digits: arithmetic is learned place by place. Source: Sennrich et al. 2016, algorithm 1, over bytes as in GPT-2.
 */
export function trainTokenizer(text: string, size: number): Vocabulary {
  const characters = byteCharacters();
  const tokens = [END_OF_TEXT, ...[...characters].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = countWords(text, (byte) => ids.get(characters[byte]!)!);
  const merges: [string, string][] = [];
  while (tokens.length < size) {
    const best = mostFrequentPair(words, size);
    if (best === undefined) throw new RangeError(`The text holds pairs for ${tokens.length} tokens only, not ${size}.`);
    const merged = tokens[best.left]! + tokens[best.right]!;
    merges.push([tokens[best.left]!, tokens[best.right]!]);
    ids.set(merged, tokens.length);
    tokens.push(merged);
    for (const word of words) word.ids = mergePair(word.ids, best, tokens.length - 1);
  }
  return { ids, merges };
}

interface Word {
  ids: number[];
  readonly count: number;
}

interface Pair {
  readonly left: number;
  readonly right: number;
}

function countWords(text: string, idOfByte: (byte: number) => number): Word[] {
  const counts = new Map<string, number>();
  for (const document of text.split(END_OF_TEXT)) {
    for (const [piece] of document.matchAll(PIECES)) {
      if (!/\p{N}/u.test(piece)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    }
  }
  const encoder = new TextEncoder();
  return [...counts].map(([piece, count]) => ({ ids: Array.from(encoder.encode(piece), idOfByte), count }));
}

function mostFrequentPair(words: readonly Word[], size: number): Pair | undefined {
  const counts = new Map<number, number>();
  for (const { ids, count } of words) {
    for (let i = 1; i < ids.length; i += 1) {
      const pair = ids[i - 1]! * size + ids[i]!;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best: number | undefined;
  for (const [pair, count] of counts) {
    const most = best === undefined ? 0 : counts.get(best)!;
    if (count > most || (count === most && pair < best!)) best = pair;
  }
  return best === undefined ? undefined : { left: Math.floor(best / size), right: best % size };
}

function mergePair(ids: readonly number[], { left, right }: Pair, merged: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < ids.length; i += 1) {
    const pair = ids[i] === left && ids[i + 1] === right;
    result.push(pair ? merged : ids[i]!);
    if (pair) i += 1;
  }
  return result;
}
