import type { Tokenizer } from '../../src/model/index.js';

/** A tokenizer small enough to check by hand: every run of letters is one id (its length), white space and marks are none. */
export function wordTokenizer(options: { readonly bos?: number; readonly endOfSequence?: string } = {}): Tokenizer {
  return {
    encode: (text) => Int32Array.from(text.match(/[a-z]+/g) ?? [], (word) => word.length),
    decode: (ids) => [...ids].map((id) => 'x'.repeat(id)).join(' '),
    ...(options.bos === undefined ? {} : { bosTokenId: options.bos }),
    ...(options.endOfSequence === undefined ? {} : { endOfSequence: options.endOfSequence }),
    vocabularySize: 100,
    fingerprint: () => 'f'.repeat(64),
  };
}

/** Ids of passages as plain arrays. */
export function idsOf(passages: readonly { readonly ids: Int32Array }[]): number[][] {
  return passages.map(({ ids }) => [...ids]);
}
