import path from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { BirdboneError } from '../errors.js';
import { type JsonObject, readJsonObject } from './json-file.js';

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
  /** Entries, added tokens included. */
  readonly vocabularySize: number;
}

/**
 * Returns the tokenizer of a model folder: tokenizer.json and, where it is there, tokenizer_config.json. Throws `unreadable` for a missing or malformed
 * file.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const file = path.join(folder, 'tokenizer.json');
  const definition = await readJsonObject(file, MAX_TOKENIZER_BYTES);
  const config = await readJsonObject(path.join(folder, 'tokenizer_config.json'), MAX_TOKENIZER_CONFIG_BYTES);
  const tokenizer = construct(definition, config, file);
  const bosTokenId = idOf(tokenizer, config['bos_token']);
  return {
    encode: (text) => Int32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids),
    decode: (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids])),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    vocabularySize: tokenizer.get_vocab().size,
  };
}

function construct(definition: JsonObject, config: JsonObject, file: string): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(definition, config);
  } catch (cause) {
    throw new BirdboneError('unreadable', `Cannot use ${file}: ${cause instanceof Error ? cause.message : cause}.`, {
      file,
      cause,
    });
  }
}

/** Special tokens stand in tokenizer_config.json as a string or as an object with `content`. */
function idOf(tokenizer: HuggingFaceTokenizer, token: unknown): number | undefined {
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof content === 'string' ? tokenizer.token_to_id(content) : undefined;
}
