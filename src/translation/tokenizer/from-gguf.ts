import { quoted } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import { mergesOfScores } from './merges.js';
import { preTokenizerOf } from './pre-tokenizers.js';
import { type GgufVocabulary, paddingToken, SPECIAL_ROLES, type SpecialRole, TOKEN_TYPES } from './vocabulary.js';

/** The texts of a Hugging Face folder's tokenizer, and what they cannot say of the GGUF's. */
export interface TokenizerFiles {
  /** tokenizer.json. */
  readonly definition: string;
  /** tokenizer_config.json. */
  readonly config: string;
  readonly notices: readonly string[];
}

/**
 * Returns the tokenizer of a GGUF as Hugging Face has it: SentencePiece ("llama") as merges derived from its scores, with bytes
 * to fall back to; byte-level pairs ("gpt2") as they are. Throws `unsupported` for another kind, and for a `pre` that is not known.
 */
export function tokenizerFromGguf(vocabulary: GgufVocabulary, file: string, context: number): TokenizerFiles {
  const parts = partsOf(vocabulary, file);
  const addsBos = (vocabulary.addBos ?? parts.addsBos) && vocabulary.ids.bos !== undefined;
  const addsEos = (vocabulary.addEos ?? false) && vocabulary.ids.eos !== undefined;
  const special = { bos: addsBos ? vocabulary.ids.bos : undefined, eos: addsEos ? vocabulary.ids.eos : undefined };
  const definition = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary),
    normalizer: parts.normalizer,
    pre_tokenizer: parts.preTokenizer,
    post_processor: template(vocabulary, special),
    decoder: parts.decoder,
    model: { ...parts.model, vocab: VOCABULARY, merges: MERGES },
  };
  const text = JSON.stringify(definition, undefined, 2)
    .replace(JSON.stringify(VOCABULARY), () => vocabularyText(vocabulary))
    .replace(JSON.stringify(MERGES), () => mergesText(parts.merges));
  const config = configOf(vocabulary, { addsBos, addsEos, context });
  return { definition: `${text}\n`, config: `${JSON.stringify(config, undefined, 2)}\n`, notices: parts.notices };
}

/** Where the large parts go, which are written by hand: an object would put tokens that look like numbers first. */
const VOCABULARY = '\u0000vocabulary';
const MERGES = '\u0000merges';

interface Parts {
  readonly normalizer: object | null;
  readonly preTokenizer: object | null;
  readonly decoder: object;
  readonly model: object;
  readonly merges: readonly (readonly [string, string])[];
  readonly addsBos: boolean;
  readonly notices: readonly string[];
}

function partsOf(vocabulary: GgufVocabulary, file: string): Parts {
  if (vocabulary.model === 'llama') return sentencePieceParts(vocabulary, file);
  if (vocabulary.model === 'gpt2') return byteLevelParts(vocabulary, file);
  throw unsupported(
    file,
    `has a tokenizer of the kind ${quoted(vocabulary.model)} (tokenizer.ggml.model). Known: llama, gpt2`,
  );
}

function sentencePieceParts({ tokens, types, scores, addSpacePrefix, ids }: GgufVocabulary, file: string): Parts {
  if (scores === undefined)
    throw unsupported(file, 'has a tokenizer of the kind "llama" without tokenizer.ggml.scores');
  const derived = mergesOfScores(tokens, types, scores);
  if (derived === undefined) throw unsupported(file, 'has a tokenizer with pieces too long to be cut in every way');
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const unknown = ids.unknown ?? Array.from(types).indexOf(TOKEN_TYPES.unknown);
  const notices =
    derived.tied === 0
      ? []
      : [
          `${derived.tied} pieces share a score with another; where both could be joined, llama.cpp takes the leftmost.`,
        ];
  return {
    normalizer: addSpacePrefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaces] }
      : spaces,
    preTokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addSpacePrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: bpe({ unk_token: tokens[unknown] ?? null, fuse_unk: true, byte_fallback: true }),
    merges: derived.merges,
    addsBos: true,
    notices,
  };
}

function byteLevelParts({ pre, merges }: GgufVocabulary, file: string): Parts {
  const preTokenizer = preTokenizerOf(pre, file);
  if (merges === undefined) throw unsupported(file, 'has a tokenizer of the kind "gpt2" without tokenizer.ggml.merges');
  return {
    normalizer: null,
    preTokenizer: preTokenizer.json,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe({ ignore_merges: preTokenizer.ignoresMerges }),
    merges: merges.map((pair) => splitPair(pair, file)),
    addsBos: preTokenizer.addsBos,
    notices: [],
  };
}

function bpe(options: object): object {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    ...options,
  };
}

/** As llama.cpp: the first space that is not the first character parts the two. */
function splitPair(pair: string, file: string): readonly [string, string] {
  const at = pair.indexOf(' ', 1);
  if (at !== -1 && at < pair.length - 1) return [pair.slice(0, at), pair.slice(at + 1)];
  throw new BirdboneError(
    'unreadable',
    `Cannot use ${file}: its tokenizer.ggml.merges has ${quoted(pair)}, which is no pair.`,
    { file },
  );
}

function isSpecial(type: number): boolean {
  return type === TOKEN_TYPES.control || type === TOKEN_TYPES.unknown;
}

function addedTokens({ tokens, types }: GgufVocabulary): object[] {
  return tokens.flatMap((content, id) => {
    if (!isSpecial(types[id]!) && types[id] !== TOKEN_TYPES.userDefined) return [];
    return [{ id, ...flagsOf(content, types[id]!) }];
  });
}

function flagsOf(content: string, type: number): object {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { content, ...flags, special: isSpecial(type) };
}

function template(
  { tokens }: GgufVocabulary,
  { bos, eos }: { bos: number | undefined; eos: number | undefined },
): object | null {
  if (bos === undefined && eos === undefined) return null;
  const token = (id: number | undefined, type: number) =>
    id === undefined ? [] : [{ SpecialToken: { id: tokens[id]!, type_id: type } }];
  const sequence = (name: string, type: number) => [
    ...token(bos, type),
    { Sequence: { id: name, type_id: type } },
    ...token(eos, type),
  ];
  const used = [bos, eos].filter((id) => id !== undefined);
  const specials = used.map((id) => [tokens[id]!, { id: tokens[id]!, ids: [id], tokens: [tokens[id]!] }]);
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: Object.fromEntries(specials),
  };
}

/** One token a line, by id, without the stand-ins for rows that have no token. */
function vocabularyText({ tokens, types }: GgufVocabulary): string {
  const lines = tokens.flatMap((token, id) =>
    types[id] === TOKEN_TYPES.unused && token === paddingToken(id) ? [] : [`\n      ${JSON.stringify(token)}: ${id}`],
  );
  return `{${lines.join(',')}\n    }`;
}

function mergesText(merges: Parts['merges']): string {
  const lines = merges.map(([left, right]) => `\n      [${JSON.stringify(left)}, ${JSON.stringify(right)}]`);
  return `[${lines.join(',')}\n    ]`;
}

function configOf(
  vocabulary: GgufVocabulary,
  { addsBos, addsEos, context }: { readonly addsBos: boolean; readonly addsEos: boolean; readonly context: number },
): Record<string, unknown> {
  const { tokens, types, ids, chatTemplate } = vocabulary;
  const added = tokens.flatMap((content, id) =>
    isSpecial(types[id]!) || types[id] === TOKEN_TYPES.userDefined ? [[id, flagsOf(content, types[id]!)]] : [],
  );
  const roles = (Object.keys(SPECIAL_ROLES) as SpecialRole[]).flatMap((role) =>
    ids[role] === undefined ? [] : [[`${SPECIAL_ROLES[role]}_token`, tokens[ids[role]]!]],
  );
  return {
    add_bos_token: addsBos,
    add_eos_token: addsEos,
    added_tokens_decoder: Object.fromEntries(added),
    ...Object.fromEntries(roles),
    ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
    clean_up_tokenization_spaces: false,
    model_max_length: context,
    // Takes tokenizer.json as it is; the classes of single models change some of it.
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
}

function unsupported(file: string, problem: string): BirdboneError {
  return new BirdboneError('unsupported', `${file} ${problem}.`, { file });
}
