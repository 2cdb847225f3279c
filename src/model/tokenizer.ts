import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { ggufMetadata, type JsonObject, openCheckpoint, readJsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { tokenizerOf } from '../translation/index.js';
import { mergeByRank } from './byte-pair-merges.js';
import { folderOf } from './model.js';

/** The largest tokenizer.json in use (256 k entries with merges as pairs) is about 35 MB. */
const MAX_TOKENIZER_BYTES = 128 * 2 ** 20;
const MAX_TOKENIZER_CONFIG_BYTES = 16 * 2 ** 20;

/** Text to token ids and back, by the tokenizer.json of a Hugging Face folder. */
export interface Tokenizer {
  /** Ids of the text alone: no BOS, no EOS, whatever the tokenizer's post-processor adds. */
  encode(text: string): Int32Array;
  decode(ids: readonly number[] | Int32Array): string;
  /** The beginning-of-sequence id, when tokenizer_config.json names one. */
  readonly bosTokenId?: number;
  /** How a text writes the end-of-sequence token, when tokenizer_config.json names one: `</s>`, `<|endoftext|>`. */
  readonly endOfSequence?: string;
  /** Entries, added tokens included. */
  readonly vocabularySize: number;
  /** sha256 of the entries with their ids: ids of one tokenizer mean the same in another with the same fingerprint. */
  fingerprint(): string;
}

/** What is used of @huggingface/tokenizers 0.2.0, whose own declarations do not resolve under Node's module rules. */
interface LibraryTokenizer {
  readonly model: unknown;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: readonly number[]): string;
  token_to_id(token: string): number | undefined;
  get_vocab(): ReadonlyMap<string, number>;
}
interface LibraryBpe {
  readonly merges: readonly (readonly [string, string])[];
  readonly end_of_word_suffix?: string | null;
  readonly continuing_subword_suffix: string | null;
  bpe(piece: string): string[];
}

/**
 * Returns the tokenizer of a model: from tokenizer.json and tokenizer_config.json in its folder (or beside its one file), or the
 * one inside a GGUF. Throws `unreadable` when one is missing or malformed, `unsupported` for a GGUF's that cannot be translated.
 */
export async function loadTokenizer(modelPath: string): Promise<Tokenizer> {
  const folder = await folderOf(modelPath);
  const file = path.join(folder, 'tokenizer.json');
  // A folder may hold a GGUF alone; otherwise the missing tokenizer.json is what to tell.
  const mayHoldOne = folder !== modelPath || (!existsSync(file) && (await hasGguf(folder)));
  const inside = mayHoldOne ? await readInside(modelPath) : undefined;
  if (inside !== undefined) return makeTokenizer(inside.definition, inside.config, modelPath);
  const definition = await readJsonObject(file, { maxBytes: MAX_TOKENIZER_BYTES });
  const configFile = path.join(folder, 'tokenizer_config.json');
  const config = await readJsonObject(configFile, { maxBytes: MAX_TOKENIZER_CONFIG_BYTES });
  return makeTokenizer(definition, config, file);
}

async function hasGguf(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => name.endsWith('.gguf'));
}

/** The tokenizer that a GGUF holds; undefined for a file that is none. */
async function readInside(file: string): Promise<{ definition: JsonObject; config: JsonObject } | undefined> {
  const checkpoint = await openCheckpoint(file);
  try {
    if (ggufMetadata(checkpoint) === undefined) return undefined;
    const found = tokenizerOf(checkpoint);
    if (found === undefined) throw new BirdboneError('unreadable', `${file} has no tokenizer.`, { file });
    return { definition: JSON.parse(found.definition) as JsonObject, config: JSON.parse(found.config) as JsonObject };
  } finally {
    await checkpoint.close();
  }
}

/** A tokenizer by the contents of tokenizer.json and tokenizer_config.json; `file` is what errors call it. */
export function makeTokenizer(definition: JsonObject, config: JsonObject, file: string): Tokenizer {
  const tokenizer = construct(definition, config, file);
  if (isBpe(tokenizer.model)) mergeLongPiecesFast(tokenizer.model);
  const bosTokenId = idOf(tokenizer, config['bos_token']);
  const endOfSequence = contentOf(config['eos_token']);
  return {
    encode: (text) => Int32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids),
    decode: (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids])),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    ...(endOfSequence === undefined ? {} : { endOfSequence }),
    vocabularySize: tokenizer.get_vocab().size,
    fingerprint: () => fingerprintOf(tokenizer.get_vocab()),
  };
}

function fingerprintOf(vocabulary: ReadonlyMap<string, number>): string {
  const entries = [...vocabulary].sort(([, left], [, right]) => left - right);
  const digest = createHash('sha256');
  for (const entry of entries) digest.update(`${JSON.stringify(entry)}\n`);
  return digest.digest('hex');
}

function construct(definition: JsonObject, config: JsonObject, file: string): LibraryTokenizer {
  try {
    return new HuggingFaceTokenizer(definition, config);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BirdboneError('unreadable', `Cannot use ${file} as a tokenizer: ${reason}.`, { file, cause });
  }
}

/** Words up to this length are the library's, which remembers them. */
const LONG_PIECE = 256;

/**
 * A tokenizer without a pre-tokenizer hands the whole text to its model as one piece. The library merges it with an
 * object and a JSON key per character and pair; for long pieces the same merges are done on integers, with the same
 * result.
 */
function mergeLongPiecesFast(model: LibraryBpe): void {
  if (model.end_of_word_suffix || model.continuing_subword_suffix) return;
  const mergeWord = model.bpe.bind(model);
  let mergeText: ((text: string) => string[]) | undefined;
  model.bpe = (piece) => {
    if (piece.length <= LONG_PIECE) return mergeWord(piece);
    mergeText ??= mergeByRank(model.merges);
    return mergeText(piece);
  };
}

/** The library's models are callable objects; only byte-pair encoding has merges. */
function isBpe(model: unknown): model is LibraryBpe {
  return typeof model === 'function' && 'bpe' in model && 'merges' in model;
}

function idOf(tokenizer: LibraryTokenizer, token: unknown): number | undefined {
  const content = contentOf(token);
  return content === undefined ? undefined : tokenizer.token_to_id(content);
}

/** Special tokens stand in tokenizer_config.json as a string or as an object with `content`; an empty one is none. */
function contentOf(token: unknown): string | undefined {
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof content === 'string' && content !== '' ? content : undefined;
}
