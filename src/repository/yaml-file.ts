import type { Document } from 'yaml';
import { BirdboneError } from '../errors.js';

/** Files of people and of DVC have a few hundred bytes; the parser takes up to 2 KB of memory and 20 µs for each. */
export const MAX_YAML_BYTES = 32 * 1024;
/** The parser calls itself for each level, and a stack that overflows inside a regular expression ends the process. */
const MAX_DEPTH = 32;
/** Columns: a level of a block is at least one deeper than the last. */
const MAX_INDENT = 4 * MAX_DEPTH;
/** People use anchors for lists of files; a bomb needs aliases of aliases, which count multiplied. */
const MAX_ALIASES = 100;

/**
 * The document in a YAML 1.2 text: plain data, no tags that make objects. Throws `unreadable` for what breaks YAML's rules,
 * repeats a key, or is longer than MAX_YAML_BYTES.
 */
export async function parseYamlDocument(text: string, file: string): Promise<Document.Parsed> {
  if (text.length > MAX_YAML_BYTES) throw unreadable(file, `it has over ${MAX_YAML_BYTES} characters`);
  refuseExcess(text, file);
  const { parseDocument } = await import('yaml');
  return guarded(file, () => {
    const document = parseDocument(text, { version: '1.2', schema: 'core', uniqueKeys: true, logLevel: 'error' });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document;
  });
}

/** The value that a YAML text stands for. Throws `unreadable` as parseYamlDocument does, and for a bomb of aliases. */
export async function parseYaml(text: string, file: string): Promise<unknown> {
  const document = await parseYamlDocument(text, file);
  return guarded(file, () => document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown);
}

/** Marks of anchors and aliases, where a value can begin; over-estimates too. */
const ANCHOR = /(?:^|[\s[{,:?-])[&*]/g;

/** Over-estimates: brackets count in quotes and comments too. */
function refuseExcess(text: string, file: string): void {
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth = bracket === '[' || bracket === '{' ? depth + 1 : Math.max(0, depth - 1);
    if (depth > MAX_DEPTH) throw unreadable(file, `it has over ${MAX_DEPTH} brackets within each other`);
  }
  // One node with ten thousand anchors is ten thousand errors, which take the parser a second.
  const anchors = [...text.matchAll(ANCHOR)].length;
  if (anchors > 2 * MAX_ALIASES) throw unreadable(file, `it has ${anchors} anchors and aliases`);
  for (const line of text.split(/[\r\n]+/)) {
    // Blocks nest by indentation, and by several indicators on one line.
    const [indent] = /^(?:[-?:]?[ \t]+)*/.exec(line) ?? [''];
    if (indent.length > MAX_INDENT) throw unreadable(file, `it has a line that starts at column ${indent.length}`);
  }
}

/** Whatever the parser throws is the text's fault, which was all it had. */
function guarded<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const [problem = ''] = cause instanceof Error ? cause.message.split('\n') : [String(cause)];
    throw unreadable(file, problem.replace(/[:.]$/, ''), cause);
  }
}

function unreadable(file: string, problem: string, cause?: unknown): BirdboneError {
  return new BirdboneError('unreadable', `${file} is not YAML that birdbone reads: ${problem}.`, { file, cause });
}
