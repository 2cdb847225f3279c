import { type AttributeRule, attributeRules, stateOf } from './attribute-rules.js';
import type { Conflict, Merged } from './change.js';
import { withBlock } from './marked-block.js';
import { LFS_ATTRIBUTES, WEIGHT_PATTERNS } from './weight-patterns.js';

const FILE = '.gitattributes';
/** Stand for every path: a rule that covers both covers a pattern's files everywhere. */
const PLACES = ['weights', 'folder/folder/weights'] as const;

/**
 * A .gitattributes text with git-lfs for every pattern of weights that has no rule yet. A rule of the user's always wins: one
 * that says otherwise of a whole pattern is a conflict and the pattern is left out; narrower exceptions stay behind our lines,
 * since git goes by the last rule that covers a path.
 */
export function mergeAttributes(text: string): Merged {
  const rules = attributeRules(text);
  const missing = WEIGHT_PATTERNS.filter((pattern) =>
    PLACES.some((place) => filterAt(rules, pattern, place).state === 'unspecified'),
  ).filter((pattern) => contradiction(rules, pattern) === undefined);
  const merged = withBlock(text, {
    title: 'weights go through git-lfs',
    lines: missing.map((pattern) => `${pattern} ${LFS_ATTRIBUTES}`),
    before: firstException(rules, missing, text),
  });
  return { text: merged, conflicts: conflictsIn(attributeRules(merged)) };
}

function filterAt(rules: readonly AttributeRule[], pattern: string, place: string) {
  return stateOf(rules, place + pattern.slice(1), 'filter');
}

/** The rule that keeps a pattern's files out of git-lfs wherever they are. */
function contradiction(rules: readonly AttributeRule[], pattern: string): AttributeRule | undefined {
  const found = PLACES.map((place) => filterAt(rules, pattern, place));
  return found.every(({ state, rule }) => rule !== undefined && state !== 'lfs') ? found[0]?.rule : undefined;
}

/** The first line that our lines would overrule, or the first of the comment lines above it. */
function firstException(rules: readonly AttributeRule[], missing: readonly string[], text: string): number | undefined {
  const exception = rules.find(
    ({ pattern, attributes }) =>
      attributes.has('filter') &&
      attributes.get('filter') !== 'lfs' &&
      missing.some((weights) => mayMeet(pattern, weights.slice(1))),
  );
  if (exception === undefined) return undefined;
  const lines = text.split('\n');
  let line = exception.line;
  while (line > 1 && lines[line - 2]?.startsWith('#')) line -= 1;
  return line;
}

/** False only when no file can have both a name that the pattern covers and this ending. */
function mayMeet(pattern: string, ending: string): boolean {
  const name = pattern.slice(pattern.lastIndexOf('/') + 1);
  if (/[?[\\]/.test(name)) return true;
  const tail = name.slice(name.lastIndexOf('*') + 1);
  return tail.endsWith(ending) || (name.includes('*') && ending.endsWith(tail));
}

function conflictsIn(rules: readonly AttributeRule[]): Conflict[] {
  return WEIGHT_PATTERNS.flatMap((pattern) => {
    const rule = contradiction(rules, pattern);
    if (rule !== undefined) return [conflict(rule, pattern, 'filter', `keeps ${pattern} out of git-lfs`)];
    const text = stateOf(rules, PLACES[0] + pattern.slice(1), 'text');
    if (text.rule === undefined || text.state === 'unset') return [];
    return [conflict(text.rule, pattern, 'text', `lets git change line ends in ${pattern}`)];
  });
}

function conflict(rule: AttributeRule, pattern: string, attribute: string, effect: string): Conflict {
  const state = rule.attributes.get(attribute) ?? '';
  const shown =
    { set: attribute, unset: `-${attribute}`, unspecified: `!${attribute}` }[state] ?? `${attribute}=${state}`;
  const fix =
    attribute === 'filter'
      ? `Remove "${shown}" from that line, or leave it if this is what you want.`
      : `Move that line above the one for ${pattern}.`;
  return { file: FILE, line: rule.line, what: `"${rule.pattern} ${shown}" ${effect}`, fix };
}
