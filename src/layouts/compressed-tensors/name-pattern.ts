import { quoted } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';

/** Patterns in use have some dozens of characters; work per name grows with them. */
const MAX_PATTERN = 1000;

type Accepts = (code: number) => boolean;

/** A state: a character to accept and go on, a fork, or an end. */
type State =
  | { readonly accepts: Accepts; next: number }
  | { readonly fork: true; next: number; other: number }
  | { readonly needs: 'start' | 'end'; next: number };

/**
 * Returns what says whether a name begins with a match of a Python regular expression, as `re.match` has it. It takes time in
 * proportion to the name's length, whatever the pattern: a file must not be able to keep the reader busy. Throws `unsupported` for what
 * it does not know: look-around, back references, counted repeats.
 */
export function namePattern(pattern: string, file: string): (name: string) => boolean {
  const { states, start } = new PatternParser(pattern, file).parse();
  return (name) => matches(states, start, name);
}

const END = -1;

function matches(states: readonly State[], start: number, name: string): boolean {
  let current = closure(states, [start], { at: 0, length: name.length });
  for (let at = 0; at < name.length; at += 1) {
    if (current.has(END)) return true;
    const code = name.charCodeAt(at);
    const next: number[] = [];
    for (const index of current) {
      const state = states[index];
      if (state !== undefined && 'accepts' in state && state.accepts(code)) next.push(state.next);
    }
    if (next.length === 0) return false;
    current = closure(states, next, { at: at + 1, length: name.length });
  }
  return current.has(END);
}

/** All states that are reached without a character. */
function closure(
  states: readonly State[],
  from: readonly number[],
  { at, length }: { at: number; length: number },
): Set<number> {
  const reached = new Set<number>();
  const open = [...from];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (reached.has(index)) continue;
    reached.add(index);
    const state = states[index];
    if (state === undefined || 'accepts' in state) continue;
    if ('fork' in state) open.push(state.next, state.other);
    else if (state.needs === 'start' ? at === 0 : at === length) open.push(state.next);
  }
  return reached;
}

/** A part of the automaton: where it begins, and what to call with where it goes on. */
interface Piece {
  readonly start: number;
  readonly leave: (to: number) => void;
}

/** Thompson's construction, by recursive descent over alternatives, sequences, repeats and atoms. */
class PatternParser {
  readonly #pattern: string;
  readonly #file: string;
  readonly #states: State[] = [];
  #at = 0;

  constructor(pattern: string, file: string) {
    this.#pattern = pattern;
    this.#file = file;
    if (pattern.length > MAX_PATTERN) throw this.#unsupported(`more than ${MAX_PATTERN} characters`);
  }

  parse(): { readonly states: readonly State[]; readonly start: number } {
    const { start, leave } = this.#alternatives();
    if (this.#at < this.#pattern.length) throw this.#unsupported('an unmatched )');
    leave(END);
    return { states: this.#states, start };
  }

  #alternatives(): Piece {
    const first = this.#sequence();
    if (this.#peek() !== '|') return first;
    this.#at += 1;
    const second = this.#alternatives();
    const start = this.#add({ fork: true, next: first.start, other: second.start });
    const leave = (to: number) => {
      first.leave(to);
      second.leave(to);
    };
    return { start, leave };
  }

  #sequence(): Piece {
    let piece: Piece | undefined;
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#peek())) {
      const before = piece;
      const next = this.#repeated();
      before?.leave(next.start);
      piece = before === undefined ? next : { start: before.start, leave: next.leave };
    }
    if (piece !== undefined) return piece;
    const empty = { fork: true, next: END, other: END } as const satisfies State;
    return this.#open({ ...empty });
  }

  #repeated(): Piece {
    const atom = this.#atom();
    const sign = this.#peek();
    if (sign === '{') throw this.#unsupported('a counted repeat');
    if (!['*', '+', '?'].includes(sign)) return atom;
    this.#at += 1;
    // Greedy or not is the same for whether there is a match.
    if (this.#peek() === '?') this.#at += 1;
    const fork: State = { fork: true, next: atom.start, other: END };
    const index = this.#add(fork);
    if (sign !== '?') atom.leave(index);
    const leave = (to: number) => {
      fork.other = to;
      if (sign === '?') atom.leave(to);
    };
    return { start: sign === '+' ? atom.start : index, leave };
  }

  #atom(): Piece {
    const character = this.#next();
    if (character === '(') return this.#group();
    if (character === '^') return this.#open({ needs: 'start', next: END });
    if (character === '$') return this.#open({ needs: 'end', next: END });
    if ('*+?'.includes(character)) throw this.#unsupported(`a ${character} behind nothing`);
    return this.#open({ accepts: this.#accepting(character), next: END });
  }

  #group(): Piece {
    if (this.#peek() === '?') {
      if (this.#pattern[this.#at + 1] !== ':') throw this.#unsupported('look-around, a name or a flag');
      this.#at += 2;
    }
    const inside = this.#alternatives();
    if (this.#next() !== ')') throw this.#unsupported('an unmatched (');
    return inside;
  }

  #accepting(character: string): Accepts {
    if (character === '.') return (code) => code !== 10;
    if (character === '\\') return this.#escape();
    if (character === '[') return this.#characterClass();
    const own = character.charCodeAt(0);
    return (code) => code === own;
  }

  #escape(): Accepts {
    const character = this.#next();
    if (character === 'd') return isDigit;
    if (character === 'w') return (code) => isDigit(code) || isLetter(code) || code === 95;
    if (/[A-Za-z0-9]/.test(character)) throw this.#unsupported(`\\${character}`);
    const own = character.charCodeAt(0);
    return (code) => code === own;
  }

  #characterClass(): Accepts {
    const isNegated = this.#peek() === '^';
    if (isNegated) this.#at += 1;
    const members: Accepts[] = [];
    do {
      const character = this.#next();
      const isRange = this.#peek() === '-' && this.#pattern[this.#at + 1] !== ']';
      if (character === '\\') members.push(this.#escape());
      else if (!isRange)
        members.push(
          (
            (own) => (code: number) =>
              code === own
          )(character.charCodeAt(0)),
        );
      else {
        this.#at += 1;
        const [low, high] = [character.charCodeAt(0), this.#next().charCodeAt(0)];
        members.push((code) => code >= low && code <= high);
      }
    } while (this.#peek() !== ']');
    this.#at += 1;
    return (code) => members.some((accepts) => accepts(code)) !== isNegated;
  }

  #peek(): string {
    return this.#pattern[this.#at] ?? '';
  }

  #next(): string {
    const character = this.#pattern[this.#at];
    if (character === undefined) throw this.#unsupported('an end before its time');
    this.#at += 1;
    return character;
  }

  #add(state: State): number {
    return this.#states.push(state) - 1;
  }

  #open(state: State): Piece {
    const leave = (to: number) => {
      state.next = to;
      if ('fork' in state) state.other = to;
    };
    return { start: this.#add(state), leave };
  }

  #unsupported(what: string): BirdboneError {
    const message = `${this.#file} names modules by the pattern ${quoted(this.#pattern)}, which has ${what}.`;
    return new BirdboneError('unsupported', message, {
      file: this.#file,
      suggestions: ['Write the names of the modules in its place.'],
    });
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isLetter(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}
