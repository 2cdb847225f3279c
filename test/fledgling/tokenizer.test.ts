import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { documents, END_OF_TEXT, joinDocuments, take } from '../../scripts/fledgling/generate-text.js';
import { tokenizerConfig, tokenizerJson } from '../../scripts/fledgling/tokenizer-files.js';
import { byteCharacters, trainTokenizer } from '../../scripts/fledgling/train-tokenizer.js';

const text = joinDocuments(take(documents(1), 60_000));
const vocabulary = trainTokenizer(text, 384);
const tokenizer = new Tokenizer(tokenizerJson(vocabulary), tokenizerConfig(256));
const idsOf = (input: string): number[] => tokenizer.encode(input, { add_special_tokens: false }).ids;

describe('training', () => {
  it('merges the most frequent pair, of equals the one with the lower ids', () => {
    // "abab" three times, "cab" once: ab 7 times, ba 3, ca 1. Then the only pairs left are (ab, ab) and (c, ab).
    const { ids, merges } = trainTokenizer('abab\nabab\nabab\ncab', 259);
    expect(merges).toEqual([
      ['a', 'b'],
      ['ab', 'ab'],
    ]);
    expect(ids.get('ab')).toBe(257);
    expect(ids.get('abab')).toBe(258);
    // xy and yz are equally frequent; x comes before y.
    expect(trainTokenizer('xyz', 258).merges).toEqual([['x', 'y']]);
  });

  it('numbers the end of text 0, then the bytes in the order of their stand-ins', () => {
    const tokens = [...vocabulary.ids.keys()];
    expect(tokens[0]).toBe(END_OF_TEXT);
    expect(tokens[1]).toBe('!');
    expect(new Set(tokens.slice(1, 257))).toEqual(new Set(byteCharacters()));
    expect(vocabulary.ids.size).toBe(384);
    expect([...vocabulary.ids.values()]).toEqual(tokens.map((_, id) => id));
  });

  it('repeats itself', () => {
    expect(trainTokenizer(text, 384)).toEqual(vocabulary);
  });

  it('never merges over a digit or the end of text, so that a number is its digits', () => {
    for (const token of vocabulary.ids.keys()) expect(token === END_OF_TEXT || !/.*\d.+|.+\d.*/.test(token)).toBe(true);
    expect(idsOf('1234')).toEqual([...'1234'].map((digit) => vocabulary.ids.get(digit)));
  });

  it('refuses a size that the text has no pairs for', () => {
    expect(() => trainTokenizer('ab', 300)).toThrow('258 tokens only');
  });
});

/** Byte-pair encoding as its definition says: of all neighbours, join the earliest learned, leftmost first. Independent of both. */
function encodeByDefinition(piece: string): number[] {
  const ranks = new Map(vocabulary.merges.map((pair, rank) => [pair.join(' '), rank]));
  let parts = [...new TextEncoder().encode(piece)].map((byte) => byteCharacters()[byte]!);
  for (;;) {
    const rank = Math.min(
      ...parts.slice(1).map((part, i) => ranks.get(`${parts[i]} ${part}`) ?? Number.POSITIVE_INFINITY),
    );
    if (rank === Number.POSITIVE_INFINITY) return parts.map((part) => vocabulary.ids.get(part)!);
    const [left, right] = vocabulary.merges[rank]!;
    const at = parts.findIndex((part, i) => part === left && parts[i + 1] === right);
    parts = [...parts.slice(0, at), left + right, ...parts.slice(at + 2)];
  }
}

describe('tokenizer.json in @huggingface/tokenizers', () => {
  it('encodes words as the definition does', () => {
    const words = [...new Set(text.replaceAll(END_OF_TEXT, '').match(/ ?[A-Za-z]+/g))];
    expect(words.length).toBeGreaterThan(100);
    for (const word of words) expect(idsOf(word), word).toEqual(encodeByDefinition(word));
  });

  it('reads the end of text as one token and gives a text back as it was', () => {
    expect(idsOf(`a${END_OF_TEXT}b`)).toEqual([vocabulary.ids.get('a'), 0, vocabulary.ids.get('b')]);
    expect(tokenizer.decode(idsOf(text))).toBe(text);
  });

  it('gives back any text, also what it never saw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (any) => {
        expect(tokenizer.decode(idsOf(any))).toBe(any);
      }),
    );
  });
});
