import { quoted } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';

type Fields = Readonly<Record<string, unknown>>;

/** A Hugging Face folder's tokenizer: its files parsed, and what errors call tokenizer.json. */
export interface TokenizerDefinition {
  readonly definition: Fields;
  /** tokenizer_config.json. */
  readonly config: Fields;
  /** chat_template.jinja, where the template has a file of its own. */
  readonly chatTemplate?: string;
  readonly file: string;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Flags that are on and that GGUF has no place for. */
  readonly odd: readonly string[];
}

/** The byte-pair encoding of a tokenizer.json, checked. */
export interface PairEncoding {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [string, string])[];
  readonly added: readonly AddedToken[];
  readonly unknown: string | undefined;
  readonly byteFallback: boolean;
  readonly ignoresMerges: boolean;
}

/** Token ids beyond this are no model's. */
const MAX_ID = 2 ** 24;

/**
 * Returns the byte-pair encoding that a tokenizer.json defines. Throws `unsupported` for another model of tokens and for options
 * that GGUF cannot say, `unreadable` for one that is malformed.
 */
export function readPairEncoding({ definition, file }: TokenizerDefinition): PairEncoding {
  const model = fieldsOf(definition['model']) ?? fail(file, 'it has no model');
  const type = model['type'] ?? ('merges' in model ? 'BPE' : undefined);
  if (type !== 'BPE') {
    throw unsupported(
      file,
      `is a tokenizer of the kind ${JSON.stringify(type)?.slice(0, 80)}; only BPE is written as GGUF`,
    );
  }
  for (const option of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[option])
      throw unsupported(file, `has ${option} ${JSON.stringify(model[option]).slice(0, 80)}, which GGUF cannot say`);
  }
  const unknown = model['unk_token'];
  return {
    vocabulary: readVocab(model['vocab'], file),
    merges: readMerges(model['merges'], file),
    added: readAdded(definition['added_tokens'], file),
    unknown: typeof unknown === 'string' ? unknown : undefined,
    byteFallback: model['byte_fallback'] === true,
    ignoresMerges: model['ignore_merges'] === true,
  };
}

function readVocab(value: unknown, file: string): Map<string, number> {
  const vocab = fieldsOf(value) ?? fail(file, 'its model has no vocab');
  return new Map(Object.entries(vocab).map(([token, id]) => [token, checkId(id, token, file)]));
}

function checkId(id: unknown, token: string, file: string): number {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MAX_ID) return id;
  return fail(file, `its token ${quoted(token)} has the id ${JSON.stringify(id)}`);
}

/** Two spellings are in use: "a b", and since 2024 ["a", "b"]. */
function readMerges(value: unknown, file: string): [string, string][] {
  if (!Array.isArray(value)) return fail(file, 'its model has no merges');
  return value.map((merge: unknown) => {
    const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    if (Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === 'string' && part !== '')) {
      return parts as [string, string];
    }
    return fail(file, `its merge ${JSON.stringify(merge)?.slice(0, 80)} is no pair`);
  });
}

function readAdded(value: unknown, file: string): AddedToken[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return fail(file, 'its added_tokens are no list');
  return value.map((entry: unknown) => {
    const fields = fieldsOf(entry) ?? fail(file, 'an added token is no object');
    const { content, id } = fields;
    if (typeof content !== 'string' || content === '') return fail(file, 'an added token has no content');
    const odd = ['lstrip', 'rstrip', 'single_word', 'normalized'].filter((flag) => fields[flag] === true);
    return { id: checkId(id, content, file), content, special: fields['special'] === true, odd };
  });
}

/** A JSON value that is an object; undefined for any other. */
export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** A special token of tokenizer_config.json: a string, or an object with `content`. An empty one is none. */
export function contentOf(token: unknown): string | undefined {
  const content = fieldsOf(token)?.['content'] ?? token;
  return typeof content === 'string' && content !== '' ? content : undefined;
}

export function unsupported(file: string, problem: string): BirdboneError {
  return new BirdboneError('unsupported', `${file} ${problem}.`, { file });
}

function fail(file: string, problem: string): never {
  throw new BirdboneError('unreadable', `Cannot use ${file} as a tokenizer: ${problem}.`, { file });
}
