import { quoted } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import type { AddedToken, PairEncoding } from './definition.js';
import { paddingToken, TOKEN_TYPES } from './vocabulary.js';

/** A text and a type for each id. */
export interface TokenTable {
  readonly tokens: readonly string[];
  readonly types: Int32Array;
}

const BYTE_PIECE = /^<0x[0-9A-F]{2}>$/;

/**
 * Returns what a tokenizer.json has for each of the embedding's rows; rows without a token get stand-ins. `isSentencePiece`: pieces
 * such as <0x0A> stand for bytes. Throws `unreadable` for two tokens with one id, and for an id beyond the rows.
 */
export function tokenTable(encoding: PairEncoding, rows: number, isSentencePiece: boolean, file: string): TokenTable {
  const { vocabulary, added, unknown, byteFallback } = encoding;
  const tokens = Array.from({ length: rows }, (_, id) => paddingToken(id));
  const types = new Int32Array(rows).fill(TOKEN_TYPES.unused);
  const place = (token: string, id: number, type: number) => {
    if (id >= rows) throw unusable(file, `its token ${quoted(token)} has the id ${id}, and the embedding ${rows} rows`);
    if (types[id] !== TOKEN_TYPES.unused && tokens[id] !== token) {
      throw unusable(file, `${quoted(tokens[id]!)} and ${quoted(token)} have one id, ${id}`);
    }
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of vocabulary) {
    const isByte = isSentencePiece && byteFallback && BYTE_PIECE.test(token);
    place(token, id, isByte ? TOKEN_TYPES.byte : TOKEN_TYPES.normal);
  }
  for (const { content, id, special } of added) {
    place(content, id, special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  }
  const unknownId = tokens.indexOf(unknown ?? '');
  // llama.cpp knows an unknown token in SentencePiece alone.
  if (isSentencePiece && unknownId !== -1) types[unknownId] = TOKEN_TYPES.unknown;
  return { tokens, types };
}

/** What a table leaves out of its tokenizer.json, or adds, one sentence each. */
export function tableNotices({ types }: TokenTable, { vocabulary, added, byteFallback }: PairEncoding): string[] {
  const padded = types.filter((type) => type === TOKEN_TYPES.unused).length;
  const hasBytes = [...vocabulary.keys()].some((token) => BYTE_PIECE.test(token));
  return [
    ...addedNotices(added),
    ...(padded > 0 ? [`${padded} rows of the embedding have no token; they are written as unused ones.`] : []),
    ...(byteFallback && !hasBytes
      ? ['The vocabulary has no byte pieces to fall back to: llama.cpp fails on a character that it does not have.']
      : []),
  ];
}

function addedNotices(added: readonly AddedToken[]): string[] {
  const odd = added.filter((token) => token.odd.length > 0);
  if (odd.length === 0) return [];
  const shown = odd.slice(0, 3).map(({ content, odd: flags }) => `${JSON.stringify(content)} (${flags.join(', ')})`);
  const more = odd.length > 3 ? ` and ${odd.length - 3} more` : '';
  return [
    `GGUF has no place for flags of added tokens, which decide how they are found in a text: ${shown.join(', ')}${more}.`,
  ];
}

function unusable(file: string, problem: string): BirdboneError {
  return new BirdboneError('unreadable', `Cannot use ${file} as a tokenizer: ${problem}.`, { file });
}
