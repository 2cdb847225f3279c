import type { GgufValue } from '../../checkpoint/gguf/value.js';
import { quoted } from '../../checkpoint/index.js';
import {
  type AddedToken,
  contentOf,
  fieldsOf,
  type PairEncoding,
  readPairEncoding,
  type TokenizerDefinition,
  unsupported,
} from './definition.js';
import { kindOf } from './kind.js';
import { scoresOfMerges } from './merges.js';
import { paddingToken, SPECIAL_ROLES, type SpecialRole, TOKEN_TYPES } from './vocabulary.js';

/** A tokenizer as GGUF metadata, and what that does not say as tokenizer.json does. */
export interface TokenizerMetadata {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly notices: readonly string[];
}

/** What config.json says of the tokens. */
export interface TokenNumbers {
  /** Rows of the embedding: as many tokens there are. */
  readonly rows: number;
  readonly bos?: number;
  /** All ids that end a text. */
  readonly eos: readonly number[];
}

/**
 * Returns a Hugging Face tokenizer as GGUF metadata: SentencePiece's with a score for each piece, byte-level with its merges.
 * Ids without a token get stand-ins. Throws `unsupported` for a tokenizer that llama.cpp's cannot follow, `unreadable` for a
 * malformed one and for more tokens than the embedding has rows.
 */
export function tokenizerToGguf(source: TokenizerDefinition, numbers: TokenNumbers): TokenizerMetadata {
  const encoding = readPairEncoding(source);
  const kind = kindOf(source, encoding);
  const { tokens, types } = tokenTable(encoding, kind.kind === 'sentence-piece', numbers.rows, source.file);
  const model: Record<string, GgufValue> =
    kind.kind === 'sentence-piece'
      ? {
          model: string('llama'),
          tokens: strings(tokens),
          scores: { type: 'array', of: 'f32', values: scoresOfMerges(tokens, types, encoding.merges) },
        }
      : {
          model: string('gpt2'),
          pre: string(kind.pre.names[0]!),
          tokens: strings(tokens),
          merges: strings(encoding.merges.map((pair) => pair.join(' '))),
        };
  const table = { ...model, token_type: { type: 'array', of: 'i32', values: types } as const };
  const ids = specialIds(source, numbers, tokens);
  const flags = {
    add_bos_token: bool(addsToken(source, 'bos')),
    add_eos_token: bool(addsToken(source, 'eos')),
    ...(kind.kind === 'sentence-piece' && { add_space_prefix: bool(kind.addSpacePrefix) }),
  };
  const entries = Object.entries({ ...table, ...ids, ...flags }).map(
    ([key, value]) => [`tokenizer.ggml.${key}`, value] as const,
  );
  const chat = chatTemplate(source);
  return {
    metadata: new Map([
      ...entries,
      ...(chat.template === undefined ? [] : [['tokenizer.chat_template', string(chat.template)] as const]),
    ]),
    notices: [
      ...kind.notices,
      ...addedNotices(encoding.added),
      ...tableNotices(types, encoding, numbers),
      ...chat.notices,
    ],
  };
}

const string = (value: string): GgufValue => ({ type: 'string', value });
const bool = (value: boolean): GgufValue => ({ type: 'bool', value });
const strings = (values: readonly string[]): GgufValue => ({ type: 'array', of: 'string', values });

const BYTE_PIECE = /^<0x[0-9A-F]{2}>$/;

function tokenTable(encoding: PairEncoding, hasBytePieces: boolean, rows: number, file: string) {
  const { vocabulary, added, unknown, byteFallback } = encoding;
  const tokens = Array.from({ length: rows }, (_, id) => paddingToken(id));
  const types = new Int32Array(rows).fill(TOKEN_TYPES.unused);
  const place = (token: string, id: number, type: number) => {
    if (id >= rows) throw unsupported(file, `gives ${quoted(token)} the id ${id}, and the embedding has ${rows} rows`);
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of vocabulary) {
    const isByte = hasBytePieces && byteFallback && BYTE_PIECE.test(token);
    place(token, id, isByte ? TOKEN_TYPES.byte : TOKEN_TYPES.normal);
  }
  for (const { content, id, special } of added)
    place(content, id, special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  const unknownId = tokens.indexOf(unknown ?? '');
  // llama.cpp knows an unknown token in SentencePiece alone.
  if (hasBytePieces && unknownId !== -1) types[unknownId] = TOKEN_TYPES.unknown;
  return { tokens, types };
}

/** The tokenizer's own special tokens; where it names none, those of config.json. */
function specialIds(
  { config, definition }: TokenizerDefinition,
  { bos, eos }: TokenNumbers,
  tokens: readonly string[],
) {
  const model = fieldsOf(definition['model']) ?? {};
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const fallback: Partial<Record<SpecialRole, number | undefined>> = {
    bos,
    eos: eos[0],
    unknown: ids.get(contentOf(model['unk_token']) ?? ''),
  };
  return Object.fromEntries(
    (Object.keys(SPECIAL_ROLES) as SpecialRole[]).flatMap((role) => {
      const named = ids.get(contentOf(config[`${SPECIAL_ROLES[role]}_token`]) ?? '');
      const id = named ?? fallback[role];
      return id === undefined ? [] : [[`${role}_token_id`, { type: 'u32', value: id } as GgufValue]];
    }),
  );
}

/** Whether a text is to begin with BOS, or end with EOS: what tokenizer_config.json says, or the template of tokenizer.json. */
function addsToken({ config, definition }: TokenizerDefinition, role: 'bos' | 'eos'): boolean {
  const said = config[`add_${role}_token`];
  if (typeof said === 'boolean') return said;
  const token = contentOf(config[`${role}_token`]);
  const single = templateOf(definition['post_processor'])?.['single'];
  const entry: unknown = Array.isArray(single) ? single.at(role === 'bos' ? 0 : -1) : undefined;
  return token !== undefined && fieldsOf(fieldsOf(entry)?.['SpecialToken'])?.['id'] === token;
}

function templateOf(processor: unknown): Readonly<Record<string, unknown>> | undefined {
  const fields = fieldsOf(processor);
  if (fields?.['type'] === 'TemplateProcessing') return fields;
  const parts = fields?.['processors'];
  return Array.isArray(parts) ? parts.map(fieldsOf).find((part) => part?.['type'] === 'TemplateProcessing') : undefined;
}

/** A list of named templates, as some models have it, is its default one here. */
function chatTemplate({ config, chatTemplate: file }: TokenizerDefinition): {
  template?: string;
  notices: readonly string[];
} {
  const value = file ?? config['chat_template'];
  if (typeof value === 'string') return { template: value, notices: [] };
  if (!Array.isArray(value)) return { notices: [] };
  const named = value.map(fieldsOf);
  const template = named.find((entry) => entry?.['name'] === 'default')?.['template'];
  const others = named.flatMap((entry) =>
    typeof entry?.['name'] === 'string' && entry['name'] !== 'default' ? [entry['name']] : [],
  );
  const notices =
    others.length === 0 ? [] : [`Chat templates other than the default are not carried over: ${others.join(', ')}.`];
  return typeof template === 'string' ? { template, notices } : { notices };
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

function tableNotices(types: Int32Array, { vocabulary, byteFallback }: PairEncoding, numbers: TokenNumbers): string[] {
  const padded = types.filter((type) => type === TOKEN_TYPES.unused).length;
  const hasBytes = [...vocabulary.keys()].some((token) => BYTE_PIECE.test(token));
  return [
    ...(padded > 0 ? [`${padded} rows of the embedding have no token; they are written as unused ones.`] : []),
    ...(byteFallback && !hasBytes
      ? ['The vocabulary has no byte pieces to fall back to: llama.cpp fails on a character that it does not have.']
      : []),
    ...(numbers.eos.length > 1
      ? [
          `Of the ids that end a text (${numbers.eos.join(', ')}) GGUF names one; llama.cpp finds some others by their names.`,
        ]
      : []),
  ];
}
