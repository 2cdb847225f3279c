import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import type { Checkpoint } from './checkpoint.js';
import { quoted, shellWord } from './files/quote.js';
import { sortNames } from './tensor-info.js';

/** What has tensors by name: a checkpoint, or what is known of one. */
interface Named extends Pick<Checkpoint, 'path' | 'aliases'> {
  readonly tensors: ReadonlyMap<string, unknown>;
}

/** `{0..31}` is for block numbers; the deepest models have some hundred blocks. */
const MAX_RANGE = 10_000;
const SHOWN_NAMES = 3;

/**
 * Whether a tensor's name matches a glob, whole and by case. Names are no paths: `*` stands for any characters, dots and slashes
 * included, and so does `**`; `?` for one; `[abc]`, `[a-z]` and `[!a-z]` for one of a set; `{a,b}` for one of several, which may
 * hold globs; `{0..3}` for a number; `\` takes the next character as it is. Throws `usage` for a glob with an open bracket or brace.
 */
export function tensorGlob(glob: string): (name: string) => boolean {
  const reader = new GlobReader(glob);
  const pattern = new RegExp(`^(?:${reader.readAll()})$`, 'su');
  return (name) => pattern.test(name);
}

/**
 * The stored tensors that any of the globs matches, in name order; an alias that matches stands for the tensor it is tied to.
 * Throws `usage` for a glob that matches nothing, with the names that may have been meant.
 */
export function matchTensors(checkpoint: Named, globs: readonly string[]): string[] {
  const names = [...checkpoint.tensors.keys(), ...checkpoint.aliases.keys()];
  const stored = new Set<string>();
  for (const glob of globs) {
    const found = names.filter(tensorGlob(glob));
    if (found.length === 0) throw nothingMatches(glob, names, checkpoint.path);
    for (const name of found) stored.add(checkpoint.aliases.get(name) ?? name);
  }
  return sortNames([...stored]);
}

function nothingMatches(glob: string, names: readonly string[], path: string): BirdboneError {
  const near = nearNames(glob, names).slice(0, SHOWN_NAMES).map(quoted);
  return new BirdboneError('usage', `No tensor's name matches ${quoted(glob)}.`, {
    suggestions: [
      ...(near.length > 0 ? [`Near it are ${near.join(', ')}.`] : []),
      `See the names: birdbone inspect ${shellWord(path)} --tensors`,
    ],
  });
}

/** Names near the glob as it stands, or with a part (`up_proj`) near the longest part of the glob that stands for itself. */
function nearNames(glob: string, names: readonly string[]): string[] {
  const whole = nearest(glob, names);
  if (whole.length > 0) return whole;
  const [literal = ''] = glob.split(/[.*?{},[\]\\]+/).sort((left, right) => right.length - left.length);
  const parts = new Set(names.flatMap((name) => name.split('.')));
  const [part] = literal.length < 3 ? [] : nearest(literal, [...parts]);
  return part === undefined ? [] : names.filter((name) => name.split('.').includes(part));
}

/** Turns a glob into the source of a regular expression. */
class GlobReader {
  readonly #glob: string;
  #at = 0;

  constructor(glob: string) {
    this.#glob = glob;
  }

  readAll(): string {
    return this.#sequence(false);
  }

  /** Up to the end, or, within braces, up to the comma or brace that ends an alternative. */
  #sequence(inBraces: boolean): string {
    let source = '';
    for (;;) {
      const character = this.#peek();
      if (character === undefined || (inBraces && (character === ',' || character === '}'))) return source;
      this.#at += character.length;
      if (character === '*') source += this.#stars();
      else if (character === '?') source += '.';
      else if (character === '[') source += this.#set();
      else if (character === '{') source += this.#range() ?? this.#alternatives();
      else source += literal(character === '\\' ? this.#take('\\') : character);
    }
  }

  #stars(): string {
    while (this.#peek() === '*') this.#at += 1;
    return '.*';
  }

  #set(): string {
    const negated = this.#peek() === '!' || this.#peek() === '^';
    if (negated) this.#at += 1;
    let inside = '';
    // A bracket that comes first is one of the set, as in a shell.
    do {
      const character = this.#take('[');
      const isRange = character === '-' && inside !== '' && this.#peek() !== ']';
      inside += isRange ? '-' : literal(character === '\\' ? this.#take('[') : character);
    } while (this.#peek() !== ']');
    this.#at += 1;
    try {
      new RegExp(`[${inside}]`, 'u');
    } catch (cause) {
      throw this.#malformed(`the set [${inside}] has a range that goes backwards`, cause);
    }
    return `[${negated ? '^' : ''}${inside}]`;
  }

  #range(): string | undefined {
    const found = /^(\d{1,9})\.\.(\d{1,9})\}/.exec(this.#glob.slice(this.#at));
    if (found === null) return undefined;
    const [first, last] = [Number(found[1]), Number(found[2])].sort((left, right) => left - right) as [number, number];
    if (last - first > MAX_RANGE) throw this.#malformed(`{${found[0]} has more than ${MAX_RANGE} numbers`);
    this.#at += found[0].length;
    return `(?:${Array.from({ length: last - first + 1 }, (_, index) => first + index).join('|')})`;
  }

  #alternatives(): string {
    const parts: string[] = [];
    do {
      parts.push(this.#sequence(true));
    } while (this.#take('{') === ',');
    return `(?:${parts.join('|')})`;
  }

  #peek(): string | undefined {
    const code = this.#glob.codePointAt(this.#at);
    return code === undefined ? undefined : String.fromCodePoint(code);
  }

  /** The next character, which `open` needs. */
  #take(open: string): string {
    const character = this.#peek();
    if (character === undefined) throw this.#malformed(`nothing ends its ${quoted(open)}`);
    this.#at += character.length;
    return character;
  }

  #malformed(problem: string, cause?: unknown): BirdboneError {
    return new BirdboneError('usage', `${quoted(this.#glob)} is no glob: ${problem}.`, {
      suggestions: ['Write \\ before a character that stands for itself.'],
      cause,
    });
  }
}

/** Spelled out, any character stands for itself, in and out of a set. */
function literal(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
