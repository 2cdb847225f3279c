import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../src/checkpoint/index.js';
import { tokenizerOfMetadata, tokenizerToGguf } from '../../src/translation/index.js';
import { text, texts, u32 } from './gguf-file.js';

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const model = { type: 'BPE', vocab: { '<s>': 0, a: 1, b: 2, ab: 3 }, merges: ['a b'] };
const definition = {
  added_tokens: [{ id: 0, content: '<s>', special: true, normalized: false }],
  normalizer: null,
  pre_tokenizer: BYTE_LEVEL,
  model,
};
const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const GEMMA_SPLIT = { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false };
const SENTENCE_PIECE = {
  ...definition,
  normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaces] },
  pre_tokenizer: null,
};

const translate = (change: object, config: object = {}, more: object = {}) =>
  tokenizerToGguf(
    {
      definition: { ...definition, ...change },
      config: config as Record<string, unknown>,
      file: 'tokenizer.json',
      ...more,
    },
    { rows: 4, eos: [] },
  );
const entryOf = (metadata: ReadonlyMap<string, GgufValue>, key: string) => {
  const value = metadata.get(`tokenizer.ggml.${key}`) as { value?: unknown; values?: Iterable<unknown> } | undefined;
  return value?.values === undefined ? value?.value : [...value.values];
};

describe('a tokenizer.json as GGUF metadata', () => {
  it("knows GPT-2's words where an old file leaves defaults out, as GPT-NeoX's do", () => {
    const { metadata } = translate({
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    });
    expect(entryOf(metadata, 'pre')).toBe('gpt-2');
  });

  it('has a row for each id, with its type, and pads what has no token', () => {
    const { metadata, notices } = tokenizerToGguf({ definition, config: {}, file: 't' }, { rows: 6, eos: [] });
    expect(entryOf(metadata, 'tokens')).toEqual(['<s>', 'a', 'b', 'ab', '[PAD4]', '[PAD5]']);
    expect(entryOf(metadata, 'token_type')).toEqual([3, 1, 1, 1, 5, 5]);
    expect(notices.join()).toContain('2 rows of the embedding have no token');
    const back = JSON.parse(tokenizerOfMetadata(metadata, 'x.gguf')!.definition) as typeof definition;
    expect(back.model.vocab).toEqual(model.vocab);
  });

  it('keeps names that a JavaScript object would lose', () => {
    const vocab = JSON.parse('{"__proto__": 0, "2": 1, "constructor": 2, "1": 3}') as Record<string, number>;
    const { metadata } = translate({ added_tokens: [], model: { ...model, vocab, merges: [] } });
    expect(entryOf(metadata, 'tokens')).toEqual(['__proto__', '2', 'constructor', '1']);
    const text = tokenizerOfMetadata(metadata, 'x.gguf')!.definition;
    expect(text).toMatch(/"__proto__": 0,\s+"2": 1,\s+"constructor": 2,\s+"1": 3\s/);
  });

  it.each([
    ['a Metaspace pre-tokenizer', { normalizer: null, pre_tokenizer: metaspace('always') }, true],
    ['one that never prepends', { normalizer: null, pre_tokenizer: metaspace('never') }, false],
    ['a Replace alone', { normalizer: spaces, pre_tokenizer: null }, false],
    ['Prepend and Replace', SENTENCE_PIECE, true],
    ["Gemma's Split at what its Replace leaves none of", { normalizer: spaces, pre_tokenizer: GEMMA_SPLIT }, false],
  ])('knows SentencePiece by %s', (_, change, prefix) => {
    const { metadata } = translate(change);
    expect(entryOf(metadata, 'model')).toBe('llama');
    expect(entryOf(metadata, 'add_space_prefix')).toBe(prefix);
  });

  it('takes special ids and BOS from the tokenizer, then from config.json', () => {
    const template = {
      type: 'Sequence',
      processors: [
        { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }] },
      ],
    };
    const named = translate(
      { post_processor: template },
      { bos_token: { content: '<s>' }, eos_token: 'b', pad_token: null },
    );
    expect([entryOf(named.metadata, 'bos_token_id'), entryOf(named.metadata, 'eos_token_id')]).toEqual([0, 2]);
    expect(entryOf(named.metadata, 'add_bos_token')).toBe(true);
    expect(entryOf(named.metadata, 'padding_token_id')).toBeUndefined();
    const said = translate({ post_processor: template }, { bos_token: '<s>', add_bos_token: false });
    expect(entryOf(said.metadata, 'add_bos_token')).toBe(false);
    const fallback = tokenizerToGguf({ definition, config: {}, file: 't' }, { rows: 4, bos: 1, eos: [3, 2] });
    expect([entryOf(fallback.metadata, 'bos_token_id'), entryOf(fallback.metadata, 'eos_token_id')]).toEqual([1, 3]);
    expect(fallback.notices.join()).toContain('3, 2');
  });

  it('carries the chat template, its file first, and names the ones that stay behind', () => {
    const of = (config: object, more: object = {}) => translate({}, config, more);
    expect(of({ chat_template: 'A' }).metadata.get('tokenizer.chat_template')).toEqual(text('A'));
    expect(of({ chat_template: 'A' }, { chatTemplate: 'B' }).metadata.get('tokenizer.chat_template')).toEqual(
      text('B'),
    );
    const named = of({
      chat_template: [
        { name: 'default', template: 'C' },
        { name: 'tool_use', template: 'D' },
      ],
    });
    expect(named.metadata.get('tokenizer.chat_template')).toEqual(text('C'));
    expect(named.notices.join()).toContain('tool_use');
    const files = tokenizerOfMetadata(named.metadata, 'x.gguf')!;
    expect(JSON.parse(files.config)).toMatchObject({ chat_template: 'C' });
  });

  it.each([
    ['normalized tokens', { added_tokens: [{ id: 0, content: '<s>', special: true, normalized: true }] }, 'normalized'],
    ['the normal form C', { normalizer: { type: 'NFC' } }, 'normal form C'],
    ['whole words', { model: { ...model, ignore_merges: true } }, 'ignore_merges'],
    ['SentencePiece without bytes', { ...SENTENCE_PIECE, model: { ...model, byte_fallback: true } }, 'byte pieces'],
    ['a prefix at the start alone', { normalizer: null, pre_tokenizer: metaspace('first') }, 'after a special token'],
  ])('says what becomes of %s', (_, change, word) => {
    expect(translate(change).notices.join('\n')).toContain(word);
  });

  it.each([
    ['a Unigram model', { model: { type: 'Unigram', vocab: [] } }, 'unsupported', 'Unigram'],
    ['word ends', { model: { ...model, end_of_word_suffix: '</w>' } }, 'unsupported', 'end_of_word_suffix'],
    ['an unknown pre-tokenizer', { pre_tokenizer: { type: 'Whitespace' } }, 'unsupported', 'Whitespace'],
    ['an unknown normalizer', { normalizer: { type: 'Lowercase' } }, 'unsupported', 'Lowercase'],
    ['no model', { model: null }, 'unreadable', 'no model'],
    ['no vocabulary', { model: { ...model, vocab: [] } }, 'unreadable', 'vocab'],
    ['an id that is a text', { model: { ...model, vocab: { a: '1' } } }, 'unreadable', '"1"'],
    ['an id below zero', { model: { ...model, vocab: { a: -1 } } }, 'unreadable', '-1'],
    ['two tokens with one id', { model: { ...model, vocab: { a: 1, b: 1 } } }, 'unreadable', 'one id, 1'],
    ['an id beyond the embedding', { model: { ...model, vocab: { a: 4 } } }, 'unreadable', '4 rows'],
    ['a merge of three', { model: { ...model, merges: ['a b c'] } }, 'unreadable', 'a b c'],
    ['a merge that is a number', { model: { ...model, merges: [7] } }, 'unreadable', '7'],
    ['a merge with a space in it', { model: { ...model, merges: [['a b', 'c']] } }, 'unsupported', 'a b + c'],
    ['added tokens that are no list', { added_tokens: {} }, 'unreadable', 'added_tokens'],
    ['an added token without content', { added_tokens: [{ id: 1 }] }, 'unreadable', 'content'],
  ])('refuses %s', (_, change, code, word) => {
    expect(() => translate(change)).toThrow(
      expect.objectContaining({ code, file: 'tokenizer.json', message: expect.stringContaining(word) }),
    );
  });
});

it('a GGUF that says nothing of BOS begins texts as llama.cpp does by default', () => {
  const base = { 'tokenizer.ggml.tokens': texts(['<s>', 'a']), 'tokenizer.ggml.bos_token_id': u32(0) };
  const addsBos = (more: Record<string, GgufValue>) => {
    const files = tokenizerOfMetadata(new Map(Object.entries({ ...base, ...more })), 'x.gguf')!;
    return (JSON.parse(files.config) as { add_bos_token: boolean }).add_bos_token;
  };
  const scores: GgufValue = { type: 'array', of: 'f32', values: [0, 0] };
  expect(addsBos({ 'tokenizer.ggml.model': text('llama'), 'tokenizer.ggml.scores': scores })).toBe(true);
  const bpe = { 'tokenizer.ggml.model': text('gpt2'), 'tokenizer.ggml.merges': texts([]) };
  expect(addsBos({ ...bpe, 'tokenizer.ggml.pre': text('gpt-2') })).toBe(false);
  expect(addsBos({ ...bpe, 'tokenizer.ggml.pre': text('llama-bpe') })).toBe(true);
});

function metaspace(scheme: string): object {
  return { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: false };
}
