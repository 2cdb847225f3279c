import type { PickleValue } from './pickle-values.js';

/**
 * What one pickle may hold in memory at a time, by the estimates below. 100 000 tensors with their names take 60 MB of it;
 * the rest of a checkpoint's memory is its tensors' bytes, which are not in the pickle.
 */
export const MAX_PICKLE_MEMORY_BYTES = 64 * 1024 * 1024;
/** Values that wait at once. Pickle's own writer hands on 1000 at a time. */
const MAX_STACK = 1_000_000;
/** MARKs that are open at once: each is a level of nesting, and the writer stops at Python's recursion limit, 1000. */
const MAX_MARKS = 10_000;

/** The machine's working memory: the stack, its marks, and the memo, all within bounds. `fail` throws. */
export class PickleStack {
  readonly #values: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #fail: (problem: string) => never;
  #memoryLeft = MAX_PICKLE_MEMORY_BYTES;

  constructor(fail: (problem: string) => never) {
    this.#fail = fail;
  }

  get height(): number {
    return this.#values.length;
  }

  push(value: PickleValue): void {
    if (this.#values.length === MAX_STACK) this.#fail(`more than ${MAX_STACK} values wait on its stack`);
    this.#values.push(value);
  }

  /** The topmost value above the last mark, taken off. */
  pop(): PickleValue {
    this.#refuseUnderflow(1);
    return this.#values.pop()!;
  }

  /** The topmost value above the last mark, left there. */
  top(): PickleValue {
    this.#refuseUnderflow(1);
    return this.#values.at(-1)!;
  }

  mark(): void {
    if (this.#marks.length === MAX_MARKS) this.#fail(`it is nested more than ${MAX_MARKS} levels deep`);
    this.#marks.push(this.#values.length);
  }

  get hasMark(): boolean {
    return this.#marks.length > 0;
  }

  /** Everything above the last mark, taken off together with it. */
  popToMark(): PickleValue[] {
    const height = this.#marks.pop() ?? this.#fail('it closes what no MARK opened');
    return this.#values.splice(height);
  }

  /** The last mark, which has nothing above it, taken off. False when there is a value to take instead. */
  dropMark(): boolean {
    if (this.#marks.at(-1) !== this.#values.length) return false;
    this.#marks.pop();
    return true;
  }

  /** Remembers the top under a number; the writer counts from 0, so that a number above `most` is none of its own. */
  remember(key: unknown, most: number): void {
    if (typeof key !== 'number' || key < 0 || key > most) this.#fail(`its memo has the number ${String(key)}`);
    this.#memo.set(key, this.top());
    this.charge(MEMO_ENTRY_BYTES);
  }

  /** Remembers the top under the next number. */
  memoize(): void {
    this.remember(this.#memo.size, this.#memo.size);
  }

  recall(key: unknown): PickleValue {
    const value = this.#memo.get(key as number);
    return value === undefined ? this.#fail(`it asks its memo for ${String(key)}, which is not there`) : value;
  }

  /** Takes memory off the budget before it is used. */
  charge(bytes: number): void {
    this.#memoryLeft -= bytes;
    if (this.#memoryLeft < 0) this.#fail(`its values would take more than ${MAX_PICKLE_MEMORY_BYTES} bytes of memory`);
  }

  #refuseUnderflow(count: number): void {
    const above = this.#values.length - (this.#marks.at(-1) ?? 0);
    if (above < count) this.#fail('it takes more from its stack than is there');
  }
}

const MEMO_ENTRY_BYTES = 40;
