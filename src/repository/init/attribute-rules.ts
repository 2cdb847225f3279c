import { patternCovers } from './glob.js';

/** One line of a .gitattributes file that has an effect. */
export interface AttributeRule {
  /** From 1. */
  readonly line: number;
  readonly pattern: string;
  /** Attribute → `set`, `unset`, `unspecified` or its value, as `git check-attr` prints them. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** The state of an attribute, and the line that decides it. */
export interface AttributeState {
  readonly state: string;
  readonly rule?: AttributeRule;
}

/**
 * The rules of a .gitattributes file, in order; macros (`[attr]name …`, and git's own `binary`) are replaced by what they
 * stand for. Comments, and lines that git ignores, are not among them. Source: gitattributes(5).
 */
export function attributeRules(text: string): AttributeRule[] {
  const macros = new Map([['binary', new Map(['diff', 'merge', 'text'].map((name) => [name, 'unset'] as const))]]);
  const rules: AttributeRule[] = [];
  for (const [index, line] of text
    .replace(/^(?:\u{feff}|\u{ef}\u{bb}\u{bf})/u, '')
    .split('\n')
    .entries()) {
    const [pattern, words] = splitLine(line.trim());
    if (pattern === '' || pattern.startsWith('#') || pattern.startsWith('!')) continue;
    const attributes = statesOf(words, macros);
    const macro = /^\[attr\](.+)$/.exec(pattern)?.[1];
    if (macro === undefined) rules.push({ line: index + 1, pattern, attributes });
    else macros.set(macro, attributes);
  }
  return rules;
}

/** The state of an attribute for a path: of all rules that cover the path and name the attribute, the last one counts. */
export function stateOf(rules: readonly AttributeRule[], path: string, attribute: string): AttributeState {
  const rule = rules.findLast(({ pattern, attributes }) => attributes.has(attribute) && patternCovers(pattern, path));
  return rule === undefined ? { state: 'unspecified' } : { state: rule.attributes.get(attribute) ?? '', rule };
}

function splitLine(line: string): [pattern: string, words: string[]] {
  const quoted = /^"((?:[^"\\]|\\.)*)"\s*(.*)$/.exec(line);
  if (quoted !== null) return [(quoted[1] ?? '').replace(/\\(.)/g, '$1'), wordsOf(quoted[2] ?? '')];
  const [pattern = '', ...words] = wordsOf(line);
  return [pattern, words];
}

function wordsOf(text: string): string[] {
  return text.split(/[ \t\r]+/).filter((word) => word !== '');
}

function statesOf(
  words: readonly string[],
  macros: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Map<string, string> {
  const states = new Map<string, string>();
  for (const word of words) {
    const [, sign = '', name = '', value] = /^([-!]?)([^=]+)(?:=(.*))?$/.exec(word) ?? [];
    if (sign === '' && value === undefined) for (const [key, state] of macros.get(name) ?? []) states.set(key, state);
    states.set(name, value ?? { '': 'set', '-': 'unset', '!': 'unspecified' }[sign] ?? 'set');
  }
  return states;
}
