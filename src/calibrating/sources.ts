import { statSync } from 'node:fs';
import path from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { readTextFile, splitDocuments, textsOf } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';

/** Files of one pattern; past that somebody's glob took in a whole disk. */
const MAX_FILES = 10_000;

/** A file that documents were read from. */
export interface SourceFile {
  readonly name: string;
  readonly sha256: string;
}

/** One argument of the command: a file, or all that a glob found. Shares of a set are shares of sources. */
export interface Source {
  readonly name: string;
  readonly files: readonly SourceFile[];
  readonly documents: readonly string[];
}

/**
 * Reads the documents of each source, in the order of the files' names. A file that an earlier source has is not read again. Throws
 * `usage` for a pattern that finds nothing, `unreadable` as `readTextFile` does.
 */
export async function readSources(patterns: readonly string[], endOfSequence?: string): Promise<Source[]> {
  const seen = new Set<string>();
  const sources: Source[] = [];
  for (const pattern of patterns) {
    const files: SourceFile[] = [];
    const documents: string[] = [];
    for (const file of await filesOf(pattern)) {
      if (seen.has(path.resolve(file))) continue;
      seen.add(path.resolve(file));
      const content = textsOf(await readTextFile(file));
      files.push(content.source);
      for (const text of content.kind === 'jsonl' ? content.documents : splitDocuments(content.text, endOfSequence)) {
        if (text.trim() !== '') documents.push(text);
      }
    }
    if (files.length === 0) throw nothingNew(pattern);
    sources.push({ name: nameOf(pattern), files, documents });
  }
  return sources;
}

/** The last part of a path, so that a set is the same wherever its sources lie; a glob as it was written. */
function nameOf(pattern: string): string {
  return isDynamicPattern(pattern) ? pattern : path.basename(pattern);
}

async function filesOf(pattern: string): Promise<string[]> {
  // A name that is there is meant, whatever marks are in it.
  const found = statSync(pattern, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    throw new BirdboneError('usage', `${pattern} is a folder; a source is a text file, or a glob of them.`, {
      file: pattern,
      suggestions: [`'${path.join(pattern, '**/*.txt')}'`],
    });
  }
  if (found !== undefined || !isDynamicPattern(pattern)) return [pattern];
  const files = (await glob([pattern], { expandDirectories: false })).sort();
  if (files.length > 0 && files.length <= MAX_FILES) return files;
  throw new BirdboneError(
    'usage',
    files.length === 0
      ? `No file fits ${pattern}.`
      : `${pattern} finds ${files.length} files; a source has at most ${MAX_FILES}.`,
    { suggestions: ['Name text files, or a glob such as "texts/**/*.txt".'] },
  );
}

function nothingNew(pattern: string): BirdboneError {
  return new BirdboneError('usage', `Every file of ${pattern} belongs to a source before it.`, {
    suggestions: ['Name each file once.'],
  });
}
