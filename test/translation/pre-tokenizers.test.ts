import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GgufValue, ggufMetadata, openCheckpoint } from '../../src/checkpoint/index.js';
import { loadTokenizer, makeTokenizer } from '../../src/model/index.js';
import { tokenizerOfMetadata } from '../../src/translation/index.js';
import { findPreTokenizer, preTokenizers } from '../../src/translation/tokenizer/pre-tokenizers.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { sharedMissing, sharedModel } from '../shared.js';
import { TINY, text, texts, tinyMetadata, tinyTensors, writeGgufFile } from './gguf-file.js';

const missing = sharedMissing ?? llamaMissing;
const names = preTokenizers.flatMap((row) => row.names.map((name) => ({ name })));

/** What pre-tokenizers differ in: contractions, digits, line ends, runs of spaces, punctuation, other scripts, combining marks. */
const PARTS = [
  ...["'s", "'S", "'LL", "'re", "don't", "I'M", '’s', ' ', '  ', '   ', '\n', '\r\n', '\n\n', '\t', '\u00a0', '\u3000'],
  ...[
    'a',
    'the',
    'The',
    'ABC',
    'abcDEF',
    '1',
    '12',
    '123',
    '1234567',
    '½',
    '²',
    '٣',
    '१२',
    'Ⅷ',
    '.',
    '...',
    '!?',
    '_',
    '-',
    '/',
  ],
  ...[
    '(x)',
    '{',
    '}',
    ';\n',
    '# ',
    '==',
    '→',
    '€',
    '🙂',
    '👩‍👩‍👧',
    'é',
    'e\u0301',
    'Привет',
    '日本語',
    '한국어',
    'नमस्ते',
    'שלום',
    'ǅ',
    'ʰ',
    '\u200d',
  ],
];
/** Texts that every two of them cut differently. */
const TELLING = ['12345 1234', "THEY'LL", ' \n\n  x', ' (the)\n'];
const someText = fc.array(fc.constantFrom(...PARTS), { maxLength: 14 }).map((parts) => parts.join(''));

/**
 * Pairs that some of them keep apart: where a vocabulary joins none of these, all would give the same ids. In GPT-2's letters for
 * bytes: Ġ is a space, Ċ and č end lines.
 */
const DIGITS = [...'0123456789'];
const TELLING_MERGES = [
  ...DIGITS.flatMap((a) => DIGITS.map((b) => [a, b])),
  ...DIGITS.flatMap((a) => [
    [`1${a}`, '3'],
    ['Ġ', a],
    [a, 'a'],
    [a, '.'],
  ]),
  ...[
    ["'", 's'],
    ["'", 'S'],
    ["'", 'L'],
    ["'L", 'L'],
    ["'", 'l'],
    ['.', '.'],
    ['..', '.'],
    ['!', '?'],
    ['_', 'a'],
    ['(', 'x'],
  ],
  ...[
    ['Ċ', 'Ċ'],
    ['č', 'Ċ'],
    ['Ġ', 'Ċ'],
    ['Ġ', 'Ġ'],
    ['ĠĠ', 'Ġ'],
    ['ĠĠ', 'Ċ'],
    [')', 'Ċ'],
    [';', 'Ċ'],
    ['.', 'Ċ'],
    ['ĉ', 'Ċ'],
  ],
] as const;

/** The tokenizer of novels-5m with those pairs joined first. */
async function tellingTokenizer(): Promise<Map<string, GgufValue>> {
  const source = await openCheckpoint(sharedModel('novels-5m-gguf/novels-5m-f16.gguf'));
  const metadata = new Map([...ggufMetadata(source)!].filter(([key]) => key.startsWith('tokenizer.')));
  await source.close();
  const tokens = [...(metadata.get('tokenizer.ggml.tokens') as unknown as { values: string[] }).values];
  const merges = (metadata.get('tokenizer.ggml.merges') as unknown as { values: string[] }).values;
  const types = Array.from((metadata.get('tokenizer.ggml.token_type') as unknown as { values: Int32Array }).values);
  for (const [left, right] of TELLING_MERGES) {
    if (tokens.includes(left + right)) continue;
    tokens.push(left + right);
    types.push(1);
  }
  const joined = new Set([...TELLING_MERGES.map((pair) => pair.join(' ')), ...merges]);
  return new Map([
    ...metadata,
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', values: types }],
    ['tokenizer.ggml.merges', texts([...joined])],
  ]);
}

describe('preTokenizers', () => {
  it('have names that differ, and are found by what they are', () => {
    expect(new Set(names.map(({ name }) => name)).size).toBe(names.length);
    for (const row of preTokenizers) expect(findPreTokenizer(row.json, row.ignoresMerges)).toBe(row);
    expect(findPreTokenizer({ type: 'Whitespace' }, false)).toBeUndefined();
  });

  it.skipIf(sharedMissing !== undefined)(
    'cut the same words where they say the same, and others where not',
    async () => {
      const metadata = await tellingTokenizer();
      const idsOf = preTokenizers.map(({ names: [name] }) => {
        const found = tokenizerOfMetadata(new Map([...metadata, ['tokenizer.ggml.pre', text(name!)]]), 'telling')!;
        const { encode } = makeTokenizer(JSON.parse(found.definition), JSON.parse(found.config), 'telling');
        return TELLING.map((sample) => encode(sample).join()).join(';');
      });
      for (const [i, left] of preTokenizers.entries()) {
        for (const [j, right] of preTokenizers.entries()) {
          const same = JSON.stringify(left.json) === JSON.stringify(right.json);
          expect(idsOf[i] === idsOf[j], `${left.names[0]}, ${right.names[0]}`).toBe(same);
        }
      }
    },
  );

  describe.skipIf(missing !== undefined)(missing ?? 'against llama.cpp', () => {
    it.each(names)('$name gives llama.cpp’s token ids on random texts', async ({ name }) => {
      const tokenizer = await tellingTokenizer();
      const vocabulary = (tokenizer.get('tokenizer.ggml.tokens') as unknown as { values: string[] }).values.length;
      const metadata = { ...tinyMetadata(), ...Object.fromEntries(tokenizer), 'tokenizer.ggml.pre': text(name) };
      const file = await writeGgufFile(temporaryFolder(), metadata, tinyTensors({ ...TINY, vocabulary }));
      const ours = await loadTokenizer(file);
      await withLlama(file, async (llama) => {
        fc.assert(
          fc.property(someText, (sample) => {
            expect([...ours.encode(sample)]).toEqual(llama.encode(sample));
          }),
          { numRuns: 300, seed: 1 },
        );
      });
    });
  });
});
