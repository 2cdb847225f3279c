import { describe, expect, test } from 'vitest';
import {
  cutTokenizer,
  cutTokenizerConfig,
  mergePath,
  mergeRanks,
  type VocabularyFiles,
  vocabularyPlan,
  withNewIds,
} from '../../src/vocabulary/index.js';

const VOCAB = { '<s>': 0, a: 1, b: 2, c: 3, ab: 4, bc: 5, abc: 6, cc: 7, abcc: 8, '<pad>': 9 };
const MERGES = ['a b', 'b c', 'ab c', 'c c', 'abc c', 'ab cc'];

function files(changes: Record<string, unknown> = {}, model: Record<string, unknown> = {}): VocabularyFiles {
  const added = [
    { id: 0, content: '<s>', special: true },
    { id: 9, content: '<pad>', special: true },
  ];
  return {
    tokenizer: { added_tokens: added, model: { type: 'BPE', vocab: VOCAB, merges: MERGES, ...model }, ...changes },
    tokenizerConfig: {},
    config: { bos_token_id: 0, vocab_size: 12 },
    file: 'tokenizer.json',
  };
}

describe('the merge path of a token', () => {
  const ranks = mergeRanks(MERGES.map((merge) => merge.split(' ') as [string, string]));

  test.each([
    ['a', ['a']],
    ['bc', ['b', 'c', 'bc']],
    // a b first, as it is ranked before b c.
    ['abc', ['a', 'b', 'c', 'ab', 'abc']],
    // ab c is ranked before c c, so cc is not on the path, although ab cc would lead there, too.
    ['abcc', ['a', 'b', 'c', 'ab', 'abc', 'abcc']],
    ['ca', undefined],
  ])('%s: %j', (token, expected) => {
    expect(mergePath(token, ranks)?.toSorted()).toEqual(expected?.toSorted());
  });
});

describe('a plan', () => {
  test('keeps what texts use with its path, special tokens, the alphabet and named ids', () => {
    const plan = vocabularyPlan(files(), [6], 12);
    // bc, cc and abcc go, and the two rows that no token has.
    expect([...plan.marks.ids()]).toEqual([5, 7, 8, 10, 11].map((id) => `vocabulary:${id}`));
    expect([...plan.newIds]).toEqual([0, 1, 2, 3, 4, -1, 5, -1, -1, 6, -1, -1]);
    expect(plan.kept).toEqual({ special: 2, used: 1, byte: 3, 'merge-path': 1 });
  });

  test('cuts tokenizer, its settings and the configs to match', () => {
    const { newIds } = vocabularyPlan(files(), [6], 12);
    const source = files({
      padding: { pad_id: 9, pad_token: '<pad>' },
      post_processor: {
        type: 'Sequence',
        processors: [
          { type: 'ByteLevel' },
          {
            type: 'TemplateProcessing',
            special_tokens: { '<pad>': { id: '<pad>', ids: [9, 0], tokens: ['<pad>', '<s>'] } },
          },
          { type: 'BertProcessing', sep: ['<pad>', 9], cls: ['<s>', 0] },
        ],
      },
    });
    expect(cutTokenizer(source.tokenizer, newIds)).toEqual({
      added_tokens: [
        { id: 0, content: '<s>', special: true },
        { id: 6, content: '<pad>', special: true },
      ],
      padding: { pad_id: 6, pad_token: '<pad>' },
      post_processor: {
        type: 'Sequence',
        processors: [
          { type: 'ByteLevel' },
          {
            type: 'TemplateProcessing',
            special_tokens: { '<pad>': { id: '<pad>', ids: [6, 0], tokens: ['<pad>', '<s>'] } },
          },
          { type: 'BertProcessing', sep: ['<pad>', 6], cls: ['<s>', 0] },
        ],
      },
      model: { type: 'BPE', vocab: { '<s>': 0, a: 1, b: 2, c: 3, ab: 4, abc: 5, '<pad>': 6 }, merges: ['a b', 'ab c'] },
    });
    const table = { added_tokens_decoder: { 0: { content: '<s>' }, 9: { content: '<pad>' } }, bos_token: '<s>' };
    expect(cutTokenizerConfig(table, newIds)).toEqual({
      added_tokens_decoder: { 0: { content: '<s>' }, 6: { content: '<pad>' } },
      bos_token: '<s>',
    });
    const config = { eos_token_id: [0, 9], pad_token_id: -1, suppress_tokens: [1, 7, 9], num_beams: 9 };
    expect(withNewIds(config, newIds)).toEqual({
      eos_token_id: [0, 6],
      pad_token_id: -1,
      suppress_tokens: [1, 6],
      num_beams: 9,
    });
  });

  test.each([
    ['another kind', files({}, { type: 'Unigram' }), 'unsupported'],
    ['word suffixes', files({}, { end_of_word_suffix: '</w>' }), 'unsupported'],
    ['no model', files({ model: null }), 'unreadable'],
    ['no merges', files({}, { merges: undefined }), 'unreadable'],
    ['an id that is none', files({}, { vocab: { a: -1 } }), 'unreadable'],
    ['more tokens than rows', files({}, { vocab: { ...VOCAB, z: 12 } }), 'unreadable'],
  ])('refuses a tokenizer with %s', (_, source, code) => {
    expect(() => vocabularyPlan(source, [], 12)).toThrow(expect.objectContaining({ code, file: 'tokenizer.json' }));
  });

  test('refuses a used token that is too long to follow', () => {
    const long = 'a'.repeat(5000);
    const source = files({}, { vocab: { ...VOCAB, [long]: 10 } });
    expect(() => vocabularyPlan(source, [10], 12)).toThrow('5000 characters');
  });
});
