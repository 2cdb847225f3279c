import { type GgufMetadata, type JsonObject, quoted } from '../checkpoint/index.js';
import { makeTokenizer, type Tokenizer } from '../model/index.js';
import { type TokenizerDefinition, tokenizerOfMetadata } from '../translation/index.js';

/** How two tokenizers compare. */
export interface TokenizerCheck {
  readonly texts: number;
  readonly differing: number;
  /** The first text that gets other ids. */
  readonly example?: string;
}

/** Pieces that are tried, spread over the vocabulary: more would take minutes on the largest. */
const MAX_PIECES = 4000;

const TEXTS = [
  'Once upon a time, there was a little girl named Lily. She didn’t want to go home.',
  "I'LL say: it's 3.14159 (or 1,000,000)!?  Two  spaces,\n\nlines\r\n\tand a tab; e-mail@example.org #42 [x] {y} <z>",
  'for (let i = 0; i < 10; i++) { total += values[i] ** 2; } // 100 %',
  'Größe, naïve café, Ελληνικά, Привет мир, שלום, مرحبا, नमस्ते, 日本語の文章。 한국어 🙂',
];

/**
 * Compares the token ids that a tokenizer gives with those of the metadata that it became, read back as llama.cpp reads them: every
 * way to make a piece, by score. Tried are the vocabulary's own pieces, alone and after each other, and some texts.
 */
export function checkTokenizer(source: TokenizerDefinition, metadata: GgufMetadata, file: string): TokenizerCheck {
  const before = makeTokenizer(source.definition, source.config, source.file);
  const written = tokenizerOfMetadata(metadata, file);
  if (written === undefined) throw new Error(`${file} would have no tokenizer.`);
  const after = makeTokenizer(
    JSON.parse(written.definition) as JsonObject,
    JSON.parse(written.config) as JsonObject,
    file,
  );
  const texts = [...TEXTS, ...pieceTexts(before)];
  const differing = texts.filter((text) => before.encode(text).join() !== after.encode(text).join());
  return {
    texts: texts.length,
    differing: differing.length,
    ...(differing[0] !== undefined && { example: differing[0] }),
  };
}

/** What a check found, in a sentence; nothing where all is equal. */
export function checkNotices({ texts, differing, example }: TokenizerCheck): string[] {
  if (differing === 0) return [];
  return [
    `llama.cpp will give ${differing} of ${texts} tried texts other token ids, such as ${quoted(example ?? '')}.`,
  ];
}

function pieceTexts(tokenizer: Tokenizer): string[] {
  const step = Math.max(1, Math.ceil(tokenizer.vocabularySize / MAX_PIECES));
  const ids = Array.from({ length: Math.ceil(tokenizer.vocabularySize / step) }, (_, i) => i * step);
  return ids.map((id) => tokenizer.decode([id, (id * 7919) % tokenizer.vocabularySize]));
}
