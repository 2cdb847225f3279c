import { arithmetic, copying, counting, ordering, spelling, wordProblem } from './exercises.js';
import { createRandom, type Random } from './random.js';
import { story } from './story.js';

/** Stands between documents; also the tokenizer's only special token, and what generation starts and stops with. */
export const END_OF_TEXT = '<|endoftext|>';

/** The kinds of document and how many of a hundred are of each. */
const KINDS: readonly { readonly write: (random: Random) => string; readonly share: number }[] = [
  { write: story, share: 55 },
  { write: arithmetic, share: 12 },
  { write: wordProblem, share: 8 },
  { write: copying, share: 10 },
  { write: counting, share: 6 },
  { write: ordering, share: 5 },
  { write: spelling, share: 4 },
];

/**
 * Documents without end, always the same for a seed. Each ends in a newline and is none of `except`, so that text which is
 * measured on never appears in text that is trained on.
 */
export function* documents(seed: number, except: ReadonlySet<string> = new Set()): Generator<string, never> {
  const random = createRandom(seed);
  for (;;) {
    const document = `${pickKind(random)(random)}\n`;
    if (!except.has(document)) yield document;
  }
}

function pickKind(random: Random): (random: Random) => string {
  let left = random.integer(1, 100);
  for (const { write, share } of KINDS) {
    left -= share;
    if (left <= 0) return write;
  }
  throw new Error('The shares of the kinds of document do not add up to 100.');
}

/** The first documents that together have at least `characters` characters. */
export function take(source: Iterable<string>, characters: number): string[] {
  const taken: string[] = [];
  let length = 0;
  for (const document of source) {
    taken.push(document);
    length += document.length;
    if (length >= characters) break;
  }
  return taken;
}

/** One text of many documents, as training, calibration and evaluation see it. */
export function joinDocuments(list: readonly string[]): string {
  return list.join(END_OF_TEXT);
}
