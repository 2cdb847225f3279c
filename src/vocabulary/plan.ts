import type { JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type IndexRange, Marks, mergeRanges } from '../plates/index.js';
import { type PairEncoding, readPairEncoding } from '../translation/index.js';
import { idsIn } from './config-ids.js';
import { mergePath, mergeRanks } from './merge-path.js';

/** Characters of a token that texts may use: merging takes their square, and the longest of real vocabularies have some hundred. */
const MAX_TOKEN_CHARACTERS = 4096;

/** The files that a vocabulary is cut by, parsed. */
export interface VocabularyFiles {
  readonly tokenizer: JsonObject;
  readonly tokenizerConfig: JsonObject;
  readonly config: JsonObject;
  readonly generationConfig?: JsonObject;
  /** What errors call tokenizer.json. */
  readonly file: string;
}

/** Why a token stays; the first that holds counts. */
export type KeptBecause = 'special' | 'used' | 'byte' | 'merge-path';

/** Which rows of the vocabulary go. */
export interface VocabularyPlan {
  /** The plates of the tokens that go. */
  readonly marks: Marks;
  /** The new id of each old one, −1 for those that go; the order stays. */
  readonly newIds: Int32Array;
  /** How many stay, by why. */
  readonly kept: Readonly<Record<KeptBecause, number>>;
}

/**
 * Returns which rows of a vocabulary some texts never need. What stays: added and special tokens and those that the configs name;
 * the tokens that the texts are encoded to; the alphabet, so that any other text can still be encoded (single bytes, or every token
 * that no merge makes where there is no fallback to bytes); and every token on the merge path of one that stays. The texts are
 * encoded to the same tokens afterwards, under their new ids.
 *
 * `used` are the ids of the texts, `rows` the rows of the embedding, which may be more than the tokenizer knows. Throws
 * `unsupported` for a tokenizer that is no byte-pair encoding, `unreadable` for one that is malformed.
 */
export function vocabularyPlan(files: VocabularyFiles, used: Iterable<number>, rows: number): VocabularyPlan {
  const encoding = pairEncoding(files);
  const tokens = tokensById(encoding, rows, files.file);
  const kept = new Map<number, KeptBecause>();
  const keep = (id: number, because: KeptBecause) => {
    if (id >= 0 && id < rows && !kept.has(id)) kept.set(id, because);
  };
  for (const { id } of encoding.added) keep(id, 'special');
  for (const id of namedIds(files, encoding)) keep(id, 'special');
  for (const id of used) {
    if (tokens[id] === undefined) throw new RangeError(`the texts have a token ${id} that the tokenizer has not`);
    keep(id, 'used');
  }
  for (const id of alphabet(encoding)) keep(id, 'byte');
  keepPaths(encoding, tokens, kept, files.file);
  return planOf(kept, rows);
}

function pairEncoding({ tokenizer, file }: VocabularyFiles): PairEncoding {
  const model = tokenizer['model'] as JsonObject | undefined;
  const isObject = typeof model === 'object' && model !== null;
  const type = isObject ? (model['type'] ?? ('merges' in model ? 'BPE' : undefined)) : undefined;
  const odd = isObject && ['continuing_subword_prefix', 'end_of_word_suffix'].find((option) => model[option]);
  if (isObject && (type !== 'BPE' || odd)) {
    const what = odd ? `has a ${odd}` : `is a tokenizer of the kind ${JSON.stringify(type)?.slice(0, 80)}`;
    throw new BirdboneError('unsupported', `${file} ${what}; a vocabulary is cut of plain byte-pair encodings only.`, {
      file,
      suggestions: ['Shed other plates: --plates ffn'],
    });
  }
  return readPairEncoding({ definition: tokenizer, config: {}, file });
}

function tokensById({ vocabulary, added }: PairEncoding, rows: number, file: string): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of vocabulary) tokens[id] = token;
  for (const { id, content } of added) tokens[id] = content;
  if (tokens.length <= rows) return tokens;
  throw new BirdboneError(
    'unreadable',
    `Cannot use ${file}: it has ids up to ${tokens.length - 1}, the model ${rows} rows.`,
    {
      file,
    },
  );
}

function namedIds({ config, generationConfig }: VocabularyFiles, { vocabulary, unknown }: PairEncoding): number[] {
  const id = unknown === undefined ? undefined : vocabulary.get(unknown);
  return [...idsIn(config), ...idsIn(generationConfig ?? {}), ...(id === undefined ? [] : [id])];
}

const BYTES = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);

/** The bytes that any text falls back to, or else the tokens that no merge makes. Some say that they fall back, and have no bytes. */
function alphabet({ vocabulary, merges, byteFallback }: PairEncoding): number[] {
  if (byteFallback && BYTES.every((token) => vocabulary.has(token)))
    return BYTES.map((token) => vocabulary.get(token)!);
  const made = new Set(merges.map(([left, right]) => left + right));
  return [...vocabulary].filter(([token]) => !made.has(token)).map(([, id]) => id);
}

function keepPaths(
  { vocabulary, merges }: PairEncoding,
  tokens: readonly (string | undefined)[],
  kept: Map<number, KeptBecause>,
  file: string,
): void {
  const ranks = mergeRanks(merges);
  for (const [id, because] of [...kept]) {
    const token = tokens[id];
    if (token === undefined || because === 'special') continue;
    if (token.length > MAX_TOKEN_CHARACTERS) {
      const message = `${file} has a token of ${token.length} characters; those that texts use may have ${MAX_TOKEN_CHARACTERS}.`;
      throw new BirdboneError('unsupported', message, { file });
    }
    for (const part of mergePath(token, ranks) ?? []) {
      const partId = vocabulary.get(part);
      if (partId !== undefined && !kept.has(partId)) kept.set(partId, 'merge-path');
    }
  }
}

function planOf(kept: ReadonlyMap<number, KeptBecause>, rows: number): VocabularyPlan {
  const newIds = new Int32Array(rows).fill(-1);
  const gone: IndexRange[] = [];
  let next = 0;
  for (let id = 0; id < rows; id += 1) {
    if (kept.has(id)) newIds[id] = next++;
    else gone.push({ start: id, count: 1 });
  }
  const counts = { special: 0, used: 0, byte: 0, 'merge-path': 0 };
  for (const because of kept.values()) counts[because] += 1;
  const marks = Marks.of(mergeRanges(gone).map((range) => ({ kind: 'vocabulary' as const, ...range })));
  return { marks, newIds, kept: counts };
}

/** The new ids that marks imply, for what was planned before and read back. */
export function newIdsOf(marks: Marks, rows: number): Int32Array {
  const newIds = new Int32Array(rows).fill(-1);
  const gone = marks.indices('vocabulary');
  let next = 0;
  let range = 0;
  for (let id = 0; id < rows; id += 1) {
    while (range < gone.length && gone[range]!.start + gone[range]!.count <= id) range += 1;
    const isGone = range < gone.length && gone[range]!.start <= id;
    if (!isGone) newIds[id] = next++;
  }
  return newIds;
}
