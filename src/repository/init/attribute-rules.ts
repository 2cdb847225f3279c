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

/** A .gitattributes file: its rules, and the macros (`[attr]name …`) that they may use. */
export interface AttributeFile {
  /** In the file's order. */
  readonly rules: readonly AttributeRule[];
  readonly macros: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Git's own macro. */
const BINARY = new Map(['diff', 'merge', 'text'].map((name) => [name, 'unset']));

/** What a .gitattributes file says; lines that git ignores are not in it. Source: gitattributes(5). */
export function attributeFile(text: string): AttributeFile {
  const macros = new Map<string, ReadonlyMap<string, string>>([['binary', BINARY]]);
  const rules: AttributeRule[] = [];
  for (const [index, line] of text
    .replace(/^(?:\u{feff}|\u{ef}\u{bb}\u{bf})/u, '')
    .split('\n')
    .entries()) {
    const [pattern, words] = splitLine(line.trim());
    if (pattern === '' || pattern.startsWith('#') || pattern.startsWith('!')) continue;
    const attributes = new Map(words.map(stateIn));
    const macro = /^\[attr\](.+)$/.exec(pattern)?.[1];
    if (macro === undefined) rules.push({ line: index + 1, pattern, attributes });
    else macros.set(macro, attributes);
  }
  return { rules, macros };
}

/**
 * The state of an attribute for a path. Goes from the last rule to the first, as git does: what a later rule says stands, and
 * a macro stands for its attributes only where it is set itself.
 */
export function stateOf({ rules, macros }: AttributeFile, path: string, attribute: string): AttributeState {
  const decided = new Map<string, string>();
  const decide = (attributes: ReadonlyMap<string, string>): void => {
    for (const [name, state] of [...attributes].reverse()) {
      if (decided.has(name)) continue;
      decided.set(name, state);
      if (state === 'set') decide(macros.get(name) ?? NONE);
    }
  };
  for (const rule of rules.toReversed()) {
    if (patternCovers(rule.pattern, path)) decide(rule.attributes);
    const state = decided.get(attribute);
    if (state !== undefined) return { state, rule };
  }
  return { state: 'unspecified' };
}

const NONE: ReadonlyMap<string, string> = new Map();

function splitLine(line: string): [pattern: string, words: string[]] {
  const quoted = /^"((?:[^"\\]|\\.)*)"\s*(.*)$/.exec(line);
  if (quoted !== null) return [(quoted[1] ?? '').replace(/\\(.)/g, '$1'), wordsOf(quoted[2] ?? '')];
  const [pattern = '', ...words] = wordsOf(line);
  return [pattern, words];
}

function wordsOf(text: string): string[] {
  return text.split(/[ \t\r]+/).filter((word) => word !== '');
}

/** `text`, `-text`, `!text`, `text=auto`. */
function stateIn(word: string): [name: string, state: string] {
  const [, sign = '', name = '', value] = /^([-!]?)([^=]+)(?:=(.*))?$/.exec(word) ?? [];
  return [name, value ?? { '-': 'unset', '!': 'unspecified' }[sign] ?? 'set'];
}
