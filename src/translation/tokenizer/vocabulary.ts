import type { MetadataReader } from '../metadata-reader.js';

/** Source: ggml-org/llama.cpp, include/llama.h (`llama_token_type`). */
export const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** What a GGUF says of its tokenizer, checked: one text, type and (where given) score for each id. */
export interface GgufVocabulary {
  /** `tokenizer.ggml.model`. */
  readonly model: string;
  readonly pre: string | undefined;
  readonly tokens: readonly string[];
  readonly types: ArrayLike<number>;
  readonly scores: ArrayLike<number> | undefined;
  /** Pairs joined by a space, best first. */
  readonly merges: readonly string[] | undefined;
  readonly ids: Readonly<Partial<Record<SpecialRole, number>>>;
  readonly addBos: boolean | undefined;
  readonly addEos: boolean | undefined;
  readonly addSpacePrefix: boolean;
  readonly chatTemplate: string | undefined;
}

export const SPECIAL_ROLES = { bos: 'bos', eos: 'eos', unknown: 'unk', padding: 'pad' } as const;
export type SpecialRole = keyof typeof SPECIAL_ROLES;

/** Reads the tokenizer of a GGUF; undefined where it has none. Throws `unreadable` where its parts do not fit together. */
export function readVocabulary(reader: MetadataReader): GgufVocabulary | undefined {
  const key = (name: string) => `tokenizer.ggml.${name}`;
  const model = reader.text(key('model'));
  if (model === undefined || model === 'none' || model === 'no_vocab') return undefined;
  const tokens = reader.required(key('tokens'), reader.texts(key('tokens')));
  const types = reader.numbers(key('token_type')) ?? new Int32Array(tokens.length).fill(TOKEN_TYPES.normal);
  const scores = reader.numbers(key('scores'));
  for (const [name, { length }] of Object.entries({ token_type: types, ...(scores && { scores }) })) {
    if (length !== tokens.length)
      throw reader.wrong(key(name), `has ${length} entries, and there are ${tokens.length} tokens`);
  }
  if (scores !== undefined && !Array.from(scores).every(Number.isFinite)) {
    throw reader.wrong(key('scores'), 'has values that are no finite numbers');
  }
  return {
    model,
    pre: reader.text(key('pre')),
    tokens,
    types,
    scores,
    merges: reader.texts(key('merges')),
    ids: readIds(reader, tokens.length),
    addBos: reader.flag(key('add_bos_token')),
    addEos: reader.flag(key('add_eos_token')),
    addSpacePrefix: reader.flag(key('add_space_prefix')) ?? true,
    chatTemplate: reader.text('tokenizer.chat_template'),
  };
}

function readIds(reader: MetadataReader, count: number): GgufVocabulary['ids'] {
  const ids: Partial<Record<SpecialRole, number>> = {};
  for (const role of Object.keys(SPECIAL_ROLES) as SpecialRole[]) {
    const key = `tokenizer.ggml.${role}_token_id`;
    const id = reader.tokenId(key);
    if (id === undefined) continue;
    if (id >= count) throw reader.wrong(key, `is ${id}, and there are ${count} tokens`);
    ids[role] = id;
  }
  return ids;
}

/** The stand-in for an id that the tokenizer has no token for: rows that an embedding was padded with. */
export function paddingToken(id: number): string {
  return `[PAD${id}]`;
}
