import { type GgufValue, quoted } from '../../checkpoint/index.js';
import { chatTemplate } from './chat-template.js';
import { type PairEncoding, readPairEncoding, type TokenizerDefinition, unsupported } from './definition.js';
import { kindOf } from './kind.js';
import { scoresOfMerges } from './merges.js';
import type { PreTokenizer } from './pre-tokenizers.js';
import { addsToken, specialIds, type TokenNumbers } from './special-tokens.js';
import { type TokenTable, tableNotices, tokenTable } from './token-table.js';

/** A tokenizer as GGUF metadata, and what that does not say as tokenizer.json does. */
export interface TokenizerMetadata {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly notices: readonly string[];
}

/**
 * Returns a Hugging Face tokenizer as GGUF metadata: SentencePiece's with a score for each piece, byte-level with its merges.
 * Ids without a token get stand-ins. Throws `unsupported` for a tokenizer that llama.cpp's cannot follow, `unreadable` for a
 * malformed one and for more tokens than the embedding has rows.
 */
export function tokenizerToGguf(source: TokenizerDefinition, numbers: TokenNumbers): TokenizerMetadata {
  const encoding = readPairEncoding(source);
  const kind = kindOf(source, encoding);
  const table = tokenTable(encoding, numbers.rows, kind.kind === 'sentence-piece', source.file);
  const flags = {
    add_bos_token: bool(addsToken(source, 'bos')),
    add_eos_token: bool(addsToken(source, 'eos')),
    ...(kind.kind === 'sentence-piece' && { add_space_prefix: bool(kind.addSpacePrefix) }),
  };
  const values = {
    ...(kind.kind === 'sentence-piece'
      ? sentencePiece(table, encoding)
      : byteLevel(table, encoding, kind.pre, source.file)),
    token_type: { type: 'array', of: 'i32', values: table.types } as const,
    ...specialIds(source, numbers, table.tokens),
    ...flags,
  };
  const chat = chatTemplate(source);
  return {
    metadata: new Map([
      ...Object.entries(values).map(([key, value]) => [`tokenizer.ggml.${key}`, value] as const),
      ...(chat.template === undefined ? [] : [['tokenizer.chat_template', string(chat.template)] as const]),
    ]),
    notices: [...kind.notices, ...tableNotices(table, encoding), ...endNotices(numbers), ...chat.notices],
  };
}

const string = (value: string): GgufValue => ({ type: 'string', value });
const bool = (value: boolean): GgufValue => ({ type: 'bool', value });
const strings = (values: readonly string[]): GgufValue => ({ type: 'array', of: 'string', values });

function sentencePiece({ tokens, types }: TokenTable, { merges }: PairEncoding): Record<string, GgufValue> {
  const scores = scoresOfMerges(tokens, types, merges);
  return { model: string('llama'), tokens: strings(tokens), scores: { type: 'array', of: 'f32', values: scores } };
}

function byteLevel(
  { tokens }: TokenTable,
  { merges }: PairEncoding,
  { names }: PreTokenizer,
  file: string,
): Record<string, GgufValue> {
  const spaced = merges.find((pair) => pair.some((part) => part.includes(' ')));
  if (spaced !== undefined) {
    throw unsupported(file, `has the merge ${quoted(spaced.join(' + '))}; GGUF parts a merge at its space`);
  }
  const pairs = strings(merges.map((pair) => pair.join(' ')));
  return { model: string('gpt2'), pre: string(names[0]!), tokens: strings(tokens), merges: pairs };
}

function endNotices({ eos }: TokenNumbers): string[] {
  if (eos.length < 2) return [];
  return [`Of the ids that end a text (${eos.join(', ')}) GGUF names one; llama.cpp finds some others by their names.`];
}
