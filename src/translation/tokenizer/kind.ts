import { fieldsOf, type PairEncoding, type TokenizerDefinition, unsupported } from './definition.js';
import { findPreTokenizer, type PreTokenizer, preTokenizers } from './pre-tokenizers.js';

/** Which of llama.cpp's tokenizers does what a tokenizer.json says. */
export type TokenizerKind =
  /** "llama": SentencePiece, spaces as ▁. */
  | { readonly kind: 'sentence-piece'; readonly addSpacePrefix: boolean; readonly notices: readonly string[] }
  /** "gpt2": bytes as characters, words cut by a `pre`. */
  | { readonly kind: 'byte-level'; readonly pre: PreTokenizer; readonly notices: readonly string[] };

/**
 * Returns the kind of tokenizer that a tokenizer.json's normalizer and pre-tokenizer make. Throws `unsupported` for a pair of them
 * that no known tokenizer of llama.cpp follows.
 */
export function kindOf({ definition, file }: TokenizerDefinition, encoding: PairEncoding): TokenizerKind {
  const { normalizer = null, pre_tokenizer: preTokenizer = null } = definition as Record<string, unknown>;
  const prefix = sentencePiecePrefix(normalizer, preTokenizer);
  if (prefix !== undefined) return { kind: 'sentence-piece', ...prefix };
  const pre =
    findPreTokenizer(preTokenizer, encoding.ignoresMerges) ?? findPreTokenizer(preTokenizer, !encoding.ignoresMerges);
  if (pre === undefined) {
    const known = preTokenizers.map(({ names }) => names[0]).join(', ');
    const found = JSON.stringify({ normalizer, pre_tokenizer: preTokenizer }).slice(0, 300);
    throw unsupported(
      file,
      `cuts a text in a way that has no verified name in llama.cpp: ${found}. Known: SentencePiece's, ${known}`,
    );
  }
  return { kind: 'byte-level', pre, notices: [...normalizerNotices(normalizer, file), ...mergeNotices(pre, encoding)] };
}

type Prefix = { readonly addSpacePrefix: boolean; readonly notices: readonly string[] };

/** Transformers writes SentencePiece's spaces in three ways: two normalizers, one of them, or a Metaspace pre-tokenizer. */
function sentencePiecePrefix(normalizer: unknown, preTokenizer: unknown): Prefix | undefined {
  const metaspace = fieldsOf(preTokenizer);
  if (metaspace?.['type'] === 'Metaspace' && normalizer === null) return metaspacePrefix(metaspace);
  if (preTokenizer !== null && !splitsAtSpaces(preTokenizer)) return undefined;
  const fields = fieldsOf(normalizer);
  const steps: unknown = fields?.['type'] === 'Sequence' ? fields['normalizers'] : [normalizer];
  const kinds = Array.isArray(steps) ? steps.map(stepOf).join('+') : '';
  if (kinds === 'prepend+spaces') return { addSpacePrefix: true, notices: [] };
  return kinds === 'spaces' ? { addSpacePrefix: false, notices: [] } : undefined;
}

/** Gemma's tokenizer.json splits at the spaces that its normalizer has replaced: nowhere. */
function splitsAtSpaces(preTokenizer: unknown): boolean {
  const { type, pattern } = fieldsOf(preTokenizer) ?? {};
  return type === 'Split' && fieldsOf(pattern)?.['String'] === ' ';
}

function stepOf(step: unknown): 'prepend' | 'spaces' | 'other' {
  const { type, prepend, pattern, content } = fieldsOf(step) ?? {};
  if (type === 'Prepend' && prepend === '▁') return 'prepend';
  return type === 'Replace' && fieldsOf(pattern)?.['String'] === ' ' && content === '▁' ? 'spaces' : 'other';
}

function metaspacePrefix({
  replacement,
  split,
  prepend_scheme: scheme,
}: Readonly<Record<string, unknown>>): Prefix | undefined {
  if (replacement !== '▁' || split !== false) return undefined;
  if (scheme === 'never') return { addSpacePrefix: false, notices: [] };
  if (scheme !== 'first' && scheme !== 'always') return undefined;
  // With "first" a text after a special token has no space before it; llama.cpp puts one there.
  const notices = [
    'The text after a special token begins with a space in llama.cpp; tokenizer.json adds it at the start only.',
  ];
  return { addSpacePrefix: true, notices: scheme === 'first' ? notices : [] };
}

function normalizerNotices(normalizer: unknown, file: string): string[] {
  if (normalizer === null) return [];
  const type = fieldsOf(normalizer)?.['type'];
  if (type !== 'NFC')
    throw unsupported(file, `has the normalizer ${JSON.stringify(normalizer).slice(0, 200)}, which GGUF cannot say`);
  return [
    'tokenizer.json brings text into normal form C first; llama.cpp does not: decomposed accents get other tokens.',
  ];
}

function mergeNotices(pre: PreTokenizer, { ignoresMerges }: PairEncoding): string[] {
  if (pre.ignoresMerges === ignoresMerges) return [];
  const does = pre.ignoresMerges ? 'keeps a word that is a token whole' : 'merges every word';
  return [`llama.cpp's tokenizer ${pre.names[0]} ${does}; tokenizer.json says the opposite (ignore_merges).`];
}
