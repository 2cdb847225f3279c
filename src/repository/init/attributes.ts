import {
  type AttributeFile,
  type AttributeRule,
  type AttributeState,
  attributeFile,
  stateOf,
} from './attribute-rules.js';
import type { Conflict, Merged } from './change.js';
import { withBlock } from './marked-block.js';
import { LFS_ATTRIBUTES, WEIGHT_PATTERNS } from './weight-patterns.js';

const FILE = '.gitattributes';
/** Stand for every path: a rule that covers both covers a pattern's files everywhere. */
const PLACES = ['weights', 'folder/folder/weights'] as const;

type DecidedState = AttributeState & { readonly rule: AttributeRule };

/**
 * A .gitattributes text with git-lfs for every pattern of weights that has no rule yet. A rule of the user's always wins: one
 * that says otherwise of a whole pattern is a conflict and the pattern is left out; narrower exceptions stay behind our lines,
 * since git goes by the last rule that covers a path.
 */
export function mergeAttributes(text: string): Merged {
  const file = attributeFile(text);
  const missing = WEIGHT_PATTERNS.filter((pattern) =>
    PLACES.some((place) => filterAt(file, pattern, place).state === 'unspecified'),
  ).filter((pattern) => contradiction(file, pattern) === undefined);
  const merged = withBlock(text, {
    title: 'weights go through git-lfs',
    lines: missing.map((pattern) => `${pattern} ${LFS_ATTRIBUTES}`),
    before: firstException(file, missing, text),
  });
  return { text: merged, conflicts: conflictsIn(attributeFile(merged)) };
}

function filterAt(file: AttributeFile, pattern: string, place: string) {
  return stateOf(file, place + pattern.slice(1), 'filter');
}

/** What keeps a pattern's files out of git-lfs wherever they are. */
function contradiction(file: AttributeFile, pattern: string): DecidedState | undefined {
  const found = PLACES.map((place) => filterAt(file, pattern, place));
  const [first] = found;
  const everywhere = found.every(({ state, rule }) => rule !== undefined && state !== 'lfs');
  return everywhere && first?.rule !== undefined ? { ...first, rule: first.rule } : undefined;
}

/** The first line that our lines would overrule, or the first of the comment lines above it. */
function firstException(file: AttributeFile, missing: readonly string[], text: string): number | undefined {
  const exception = file.rules.find(
    (rule) => keepsOut(file, rule) && missing.some((weights) => mayMeet(rule.pattern, weights.slice(1))),
  );
  if (exception === undefined) return undefined;
  const lines = text.split('\n');
  let line = exception.line;
  while (line > 1 && lines[line - 2]?.startsWith('#')) line -= 1;
  return line;
}

/** True when a rule says something other than git-lfs of the files that it covers, itself or by a macro. */
function keepsOut({ macros }: AttributeFile, rule: AttributeRule): boolean {
  const filter = stateOf({ rules: [{ ...rule, pattern: '*' }], macros }, 'any', 'filter');
  return filter.rule !== undefined && filter.state !== 'lfs';
}

/** False only when no file can have both a name that the pattern covers and this ending. */
function mayMeet(pattern: string, ending: string): boolean {
  const name = pattern.slice(pattern.lastIndexOf('/') + 1);
  if (/[?[\\]/.test(name)) return true;
  const tail = name.slice(name.lastIndexOf('*') + 1);
  return tail.endsWith(ending) || (name.includes('*') && ending.endsWith(tail));
}

function conflictsIn(file: AttributeFile): Conflict[] {
  return WEIGHT_PATTERNS.flatMap((pattern) => {
    const against = contradiction(file, pattern);
    if (against !== undefined) {
      const shown = asWritten('filter', against);
      const fix = `Remove "${shown}" from that line, or leave it if this is what you want.`;
      return [conflict(against, `"${against.rule.pattern} ${shown}" keeps ${pattern} out of git-lfs`, fix)];
    }
    const { state, rule } = stateOf(file, PLACES[0] + pattern.slice(1), 'text');
    if (rule === undefined || state === 'unset') return [];
    const what = `"${rule.pattern} ${asWritten('text', { state })}" lets git change line ends in ${pattern}`;
    return [conflict({ rule }, what, `Move that line above the one for ${pattern}.`)];
  });
}

function conflict({ rule }: Pick<DecidedState, 'rule'>, what: string, fix: string): Conflict {
  return { file: FILE, line: rule.line, what, fix };
}

function asWritten(attribute: string, { state }: { readonly state: string }): string {
  const signs: Readonly<Record<string, string>> = { set: '', unset: '-', unspecified: '!' };
  return signs[state] === undefined ? `${attribute}=${state}` : signs[state] + attribute;
}
