import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../src/checkpoint/index.js';
import { loadTokenizer, makeTokenizer } from '../../src/model/index.js';
import { tokenizerOfMetadata, tokenizerToGguf } from '../../src/translation/index.js';
import { mergesOfScores, scoresOfMerges } from '../../src/translation/tokenizer/merges.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { flag, TINY, text, texts, tinyMetadata, tinyTensors, u32, writeGgufFile } from './gguf-file.js';

const normal = (tokens: readonly string[]) => new Int32Array(tokens.length).fill(1);

describe('mergesOfScores', () => {
  it('lists every way to make a piece, best score first', () => {
    const tokens = ['a', 'b', 'c', 'ab', 'bc', 'abc'];
    const { merges, tied } = mergesOfScores(tokens, normal(tokens), [-9, -9, -9, -2, -1, -3])!;
    expect(merges).toEqual([
      ['b', 'c'],
      ['a', 'b'],
      ['a', 'bc'],
      ['ab', 'c'],
    ]);
    expect(tied).toBe(0);
  });

  it('takes no piece apart within a character, and makes none of special tokens or bytes', () => {
    const tokens = ['🙂', 'x', '🙂x', '<s>', '<', 's>', '<0x41>'];
    const types = [1, 1, 1, 3, 1, 1, 6];
    expect(mergesOfScores(tokens, types, [0, 0, -1, 0, 0, 0, 0])!.merges).toEqual([['🙂', 'x']]);
  });

  it('counts the pieces that share a score, which merges cannot say', () => {
    const tokens = ['a', 'b', 'ab', 'ba', 'aa'];
    expect(mergesOfScores(tokens, normal(tokens), [0, 0, -1, -1, -2])!.tied).toBe(2);
  });

  it('gives up on pieces that would take minutes', () => {
    const tokens = ['a', 'a'.repeat(100_000)];
    expect(mergesOfScores(tokens, normal(tokens), [0, 0])).toBeUndefined();
  });
});

describe('scoresOfMerges', () => {
  it('orders pieces as their first merges, and what no merge makes last', () => {
    const tokens = ['<s>', 'a', 'b', 'ab', 'ba', 'abab'];
    const merges = [
      ['b', 'a'],
      ['a', 'b'],
      ['ab', 'ab'],
    ] as const;
    const scores = scoresOfMerges(tokens, [3, 1, 1, 1, 1, 1], merges);
    expect([...scores]).toEqual([0, -1e9, -1e9, -1, 0, -2]);
  });
});

/** A vocabulary of pieces over few letters with bytes to fall back to, each piece with a score of its own. */
const someVocabulary = fc
  .uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '▁', 'é'), minLength: 2, maxLength: 5 }), { maxLength: 40 })
  .map((pieces) => {
    const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', 'é', ...pieces];
    const types = tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1));
    const scores = tokens.map((_, id) => (id < 263 ? 0 : -id));
    return { tokens, types, scores };
  });

function metadataOf(
  { tokens, types, scores }: { tokens: string[]; types: number[]; scores: number[] },
  prefix: boolean,
) {
  return new Map<string, GgufValue>(
    Object.entries({
      ...tinyMetadata(),
      'tokenizer.ggml.model': text('llama'),
      'tokenizer.ggml.tokens': texts(tokens),
      'tokenizer.ggml.token_type': { type: 'array', of: 'i32', values: types } as const,
      'tokenizer.ggml.scores': { type: 'array', of: 'f32', values: scores } as const,
      'tokenizer.ggml.unknown_token_id': u32(0),
      'tokenizer.ggml.bos_token_id': u32(1),
      'tokenizer.ggml.eos_token_id': u32(2),
      'tokenizer.ggml.add_space_prefix': flag(prefix),
    }),
  );
}

const someText = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'é', 'a', 'b', '\n', 'z', '🙂'), maxLength: 24 });

describe('a SentencePiece vocabulary', () => {
  it('stays the same tokenizer from GGUF to tokenizer.json to GGUF', () => {
    fc.assert(
      fc.property(someVocabulary, fc.boolean(), fc.array(someText, { maxLength: 8 }), (vocabulary, prefix, samples) => {
        const files = tokenizerOfMetadata(metadataOf(vocabulary, prefix), 'a.gguf')!;
        const source = {
          definition: JSON.parse(files.definition),
          config: JSON.parse(files.config),
          file: 'tokenizer.json',
        };
        const { metadata, notices } = tokenizerToGguf(source, { rows: vocabulary.tokens.length, eos: [2] });
        expect(notices).toEqual([]);
        expect(metadata.get('tokenizer.ggml.tokens')).toEqual(texts(vocabulary.tokens));
        expect([...(metadata.get('tokenizer.ggml.token_type') as unknown as { values: Int32Array }).values]).toEqual(
          vocabulary.types,
        );
        expect(metadata.get('tokenizer.ggml.add_space_prefix')).toEqual(flag(prefix));
        expect(metadata.get('tokenizer.ggml.add_bos_token')).toEqual(flag(true));
        const again = tokenizerOfMetadata(new Map([...tinyEntries, ...metadata]), 'b.gguf')!;
        const first = makeTokenizer(source.definition, source.config, 'a');
        const second = makeTokenizer(JSON.parse(again.definition), JSON.parse(again.config), 'b');
        for (const sample of samples) expect([...second.encode(sample)]).toEqual([...first.encode(sample)]);
      }),
      { numRuns: 100 },
    );
  });

  it.skipIf(llamaMissing !== undefined)(`gets llama.cpp’s ids (${llamaMissing ?? 'checked'})`, async () => {
    const vocabularies = fc.sample(fc.tuple(someVocabulary, fc.boolean()), { numRuns: 12, seed: 7 });
    for (const [vocabulary, prefix] of vocabularies) {
      const sizes = { ...TINY, vocabulary: vocabulary.tokens.length };
      const file = await writeGgufFile(temporaryFolder(), metadataOf(vocabulary, prefix), tinyTensors(sizes));
      const ours = await loadTokenizer(file);
      await withLlama(file, async (llama) => {
        for (const sample of fc.sample(someText, { numRuns: 200, seed: 3 })) {
          expect([...ours.encode(sample)], JSON.stringify({ sample, prefix })).toEqual(llama.encode(sample));
        }
      });
    }
  });
});

const tinyEntries = Object.entries(tinyMetadata());
