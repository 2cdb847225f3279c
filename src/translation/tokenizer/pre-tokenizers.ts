import { quoted } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';

/**
 * How a byte-level tokenizer cuts a text before it merges, under llama.cpp's name for it (`tokenizer.ggml.pre`). Only names
 * whose token ids were compared with llama.cpp's own are here (test/translation/pre-tokenizers.test.ts).
 */
export interface PreTokenizer {
  /** What is written, then other names that llama.cpp takes for the same. */
  readonly names: readonly string[];
  /** The `pre_tokenizer` of tokenizer.json; what is read may also be one of the others. */
  readonly json: object;
  readonly alsoWritten?: readonly object[];
  /** A piece that is a token stays whole, whatever the merges would make of it. */
  readonly ignoresMerges: boolean;
  /** Whether llama.cpp begins a text with BOS when the file does not say. */
  readonly addsBos: boolean;
}

const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

/** The words of a regular expression, then their bytes. */
const words = (regex: string) => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false }, byteLevel(false)],
});

/** Every digit a word of its own, whatever the script. */
const digitByDigit = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false },
    byteLevel(true),
  ],
};
/** As the models have it. Not written: some libraries take "digits" for those of ASCII. */
const digitsByName = {
  type: 'Sequence',
  pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
};

/** Llama 3's; `digits` is how many digits make a word. */
const modernWords = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Source: ggml-org/llama.cpp, src/llama-vocab.cpp (`llm_tokenizer_bpe`, `tokenizer_pre`). */
export const preTokenizers: readonly PreTokenizer[] = [
  { names: ['gpt-2', 'phi-2'], json: byteLevel(true), ignoresMerges: false, addsBos: false },
  { names: ['llama-bpe', 'llama3', 'llama-v3'], json: words(modernWords('{1,3}')), ignoresMerges: true, addsBos: true },
  { names: ['dbrx', 'smaug-bpe'], json: words(modernWords('{1,3}')), ignoresMerges: false, addsBos: false },
  { names: ['qwen2', 'stablelm2'], json: words(modernWords('')), ignoresMerges: false, addsBos: false },
  {
    names: ['smollm', 'starcoder', 'refact', 'command-r'],
    json: digitByDigit,
    alsoWritten: [digitsByName],
    ignoresMerges: false,
    addsBos: false,
  },
];

/** The row of a `tokenizer.ggml.pre`. Throws `unsupported`, with the known names, for another. */
export function preTokenizerOf(pre: string | undefined, file: string): PreTokenizer {
  const found = preTokenizers.find(({ names }) => pre !== undefined && names.includes(pre));
  if (found !== undefined) return found;
  const known = preTokenizers.flatMap(({ names }) => names).join(', ');
  const says = pre === undefined ? 'does not say' : `says ${quoted(pre)}`;
  throw new BirdboneError(
    'unsupported',
    `${file} ${says} how its tokenizer cuts a text into words (tokenizer.ggml.pre). Known: ${known}.`,
    { file, suggestions: ['Use the tokenizer.json of the model that this file was made from.'] },
  );
}

/** The row that a tokenizer.json's `pre_tokenizer` is; undefined for one that llama.cpp has no verified name for. */
export function findPreTokenizer(json: unknown, ignoresMerges: boolean): PreTokenizer | undefined {
  const wanted = canonical(json);
  const same = preTokenizers.filter((row) =>
    [row.json, ...(row.alsoWritten ?? [])].some((candidate) => canonical(candidate) === wanted),
  );
  return same.find((row) => row.ignoresMerges === ignoresMerges);
}

/** Keys in order, and without what does not change the words: offsets, and spelled-out defaults (old files leave them out). */
function canonical(json: unknown): string {
  return JSON.stringify(json, (key, value: unknown) => {
    if (key === 'trim_offsets' || (key === 'invert' && value === false)) return undefined;
    if (key === 'use_regex' && value === true) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
