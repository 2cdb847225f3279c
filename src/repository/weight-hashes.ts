import { z } from 'zod';
import { type ByteSource, readJson } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { weightsHash } from '../manifest/index.js';
import { DTYPES, type Dtype } from '../tensor/index.js';
import { pathProblem } from './weight-path.js';

/** The name of the committed hashes, at the root of a repository. */
export const HASHES_FILE = '.weight_hashes.json';

/** The format of a file whose tensors are not known: one that is not read, or not here. */
export const OPAQUE = 'opaque';

/** A tensor takes about 130 bytes: this is room for 250 000. */
const MAX_HASHES_BYTES = 32 * 1024 * 1024;

/** In another layout a text can hold millions of empty lists, which take 30 times their bytes in memory. */
const MAX_FOREIGN_BYTES = 2 * 1024 * 1024;

/** A tensor's line with the longest name that anybody has given one, many times over. */
const MAX_LINE_CHARACTERS = 64 * 1024;
const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`;
/** A line of `weightHashesText`, in which nothing is nested and nothing takes much memory. */
const OUR_LINE = new RegExp(
  String.raw`^(?:|\{|\}| {2}"version": 1,| {2}"files": \[\]?| {2}\]| {4}\{| {4}\},?| {6}\]` +
    String.raw`| {6}"[a-z0-9]+": (?:${STRING}|\d+|\[\]?),?` +
    String.raw`| {8}\{ "name": ${STRING}, "dtype": "\w+", "shape": \[[\d, ]*\], "sha256": "[0-9a-f]{64}" \},?)$`,
);

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in hex');

const tensor = z.strictObject({
  name: z.string(),
  dtype: z.enum(Object.keys(DTYPES) as [Dtype, ...Dtype[]]),
  shape: z.array(z.int().min(0)),
  sha256,
});

const fields = z.strictObject({
  /** Relative to the root, with forward slashes. */
  path: z.string().superRefine((path, context) => {
    const problem = pathProblem(path);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: `${JSON.stringify(path)} ${problem}` });
  }),
  format: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a format'),
  size: z.int().min(0),
  /** Of the whole file: what git-lfs calls its oid. */
  sha256,
  /** As `birdbone hash <file>` prints it: of all tensors, whatever their order in the file. */
  weights: sha256.optional(),
  /** Names, types, shapes and the file's own metadata. */
  metadata: sha256.optional(),
  tensors: z.array(tensor).optional(),
});

const file = fields.superRefine(checkFile);

const weightHashes = z.strictObject({
  version: z.literal(1),
  files: z.array(file).refine((files) => areUnique(files.map(({ path }) => path)), 'names a file twice'),
});

/** What .weight_hashes.json says of one file. An opaque file has no weights, metadata and tensors. */
export type FileHashes = z.output<typeof file>;

/** What .weight_hashes.json says, by path. */
export type WeightHashesByPath = ReadonlyMap<string, FileHashes>;

/**
 * The checked content of a .weight_hashes.json. Afterwards every path leads to a place below the root, each file and each of
 * its tensors is named once, and a weights hash is that of the tensors beside it. Throws `unreadable`.
 */
export async function parseWeightHashes(source: ByteSource): Promise<WeightHashesByPath> {
  const text = source.size > MAX_HASHES_BYTES ? '' : await textOf(source);
  try {
    const isOurs = text.split('\n').every((line) => line.length <= MAX_LINE_CHARACTERS && OUR_LINE.test(line));
    const limits = { maxBytes: isOurs ? MAX_HASHES_BYTES : MAX_FOREIGN_BYTES };
    const { value } = await readJson(source, { ...limits, strict: !isOurs });
    const hashes = checked(value, source.path);
    // A key twice makes another text than ours; so does another order, and only the slower reader tells the two apart.
    if (isOurs && weightHashesText(hashes) !== text) await readJson(source, { ...limits, strict: true });
    return hashes;
  } catch (error) {
    throw /^<{7} /m.test(text) && /^>{7} /m.test(text) ? conflicted(source.path) : error;
  }
}

/** As it is on every system: git may write other ends of lines. */
async function textOf(source: ByteSource): Promise<string> {
  return Buffer.from(await source.read(0, source.size))
    .toString('utf8')
    .replaceAll('\r\n', '\n');
}

function checked(value: unknown, location: string): WeightHashesByPath {
  const result = weightHashes.safeParse(value);
  if (result.success) return new Map(result.data.files.map((entry) => [entry.path, entry]));
  const faults = result.error.issues.slice(0, 5).map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
  const message = `${location} is not a valid ${HASHES_FILE}.\n${faults.join('\n')}`;
  throw new BirdboneError('unreadable', message, {
    file: location,
    suggestions: ['Write it anew: birdbone hash --update', 'One of a newer birdbone needs that version to be read.'],
  });
}

/**
 * The text of a .weight_hashes.json: the same for the same hashes, with files and tensors in the order of their names, and a
 * line for each tensor, so that git shows and merges what changed.
 */
export function weightHashesText(hashes: WeightHashesByPath): string {
  const files = [...hashes.keys()].sort().map((path) => fileText(hashes.get(path)!));
  const list = files.length === 0 ? '[]' : `[\n${files.join(',\n')}\n  ]`;
  return `{\n  "version": 1,\n  "files": ${list}\n}\n`;
}

function fileText({ tensors, ...rest }: FileHashes): string {
  const { path, format, size, sha256, weights, metadata } = rest;
  const lines = Object.entries({ path, format, size, sha256, weights, metadata })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `      ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  if (tensors !== undefined) lines.push(`      "tensors": ${tensorsText(tensors)}`);
  return `    {\n${lines.join(',\n')}\n    }`;
}

function tensorsText(tensors: NonNullable<FileHashes['tensors']>): string {
  if (tensors.length === 0) return '[]';
  const lines = tensors
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ name, dtype, shape, sha256 }) => {
      const fields = [`"name": ${JSON.stringify(name)}`, `"dtype": "${dtype}"`, `"shape": [${shape.join(', ')}]`];
      return `        { ${[...fields, `"sha256": "${sha256}"`].join(', ')} }`;
    });
  return `[\n${lines.join(',\n')}\n      ]`;
}

function checkFile(entry: z.output<typeof fields>, context: z.RefinementCtx): void {
  const fail = (message: string): void => context.addIssue({ code: 'custom', message });
  const { format, weights, metadata, tensors } = entry;
  const known = [weights, metadata, tensors].filter((value) => value !== undefined).length;
  if (known !== (format === OPAQUE ? 0 : 3)) {
    fail('has weights, metadata and tensors exactly when its format is not "opaque"');
  } else if (tensors !== undefined && !areUnique(tensors.map(({ name }) => name))) {
    fail('names a tensor twice');
  } else if (tensors !== undefined && weightsHash(new Map(tensors.map((one) => [one.name, one]))) !== weights) {
    fail('has a weights hash that is not that of its tensors');
  }
}

function areUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

/** What git leaves in a file that two branches changed; no line of JSON starts so. */
function conflicted(file: string): BirdboneError {
  return new BirdboneError('unreadable', `${file} has the marks of a merge conflict.`, {
    file,
    suggestions: ['Settle which weights are right, then write it anew: birdbone hash --update'],
  });
}
