import type { PickleValue } from './pickle-values.js';

/**
 * What one pickle may hold in memory at a time, by the estimates of what values take: this much, and so many times the bytes
 * that were read of it. The names and shapes of 100 000 tensors take 80 MB, of a pickle of 15 MB.
 */
const BASE_MEMORY_BYTES = 40 * 1024 * 1024;
const MEMORY_PER_BYTE = 3;
/** Values that wait at once. Pickle's own writer hands on 1000 at a time. */
const MAX_STACK = 1_000_000;
/** MARKs that are open at once: each is a level of nesting, and the writer stops at Python's recursion limit, 1000. */
const MAX_MARKS = 10_000;

/** The machine's working memory: the stack, its marks, and the memo, all within bounds. `fail` throws. */
export class PickleStack {
  readonly #values: PickleValue[] = [];
  readonly #marks: number[] = [];
  /** By number: the writer counts up from 0, or from 1 in Python 2; what is elsewhere goes into the map. */
  readonly #memo: (PickleValue | undefined)[] = [];
  readonly #sparseMemo = new Map<number, PickleValue>();
  readonly #fail: (problem: string) => never;
  readonly #bytesRead: () => number;
  #charged = 0;

  /** `bytesRead` says how much of the pickle was read so far. */
  constructor(bytesRead: () => number, fail: (problem: string) => never) {
    this.#bytesRead = bytesRead;
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
    this.charge(MEMO_ENTRY_BYTES);
    const next = this.#memo.length;
    if (key > next + 1) {
      this.charge(SPARSE_ENTRY_BYTES);
      this.#sparseMemo.set(key, this.top());
    } else {
      if (key > next) this.#memo.push(undefined);
      this.#memo[key] = this.top();
    }
  }

  /** Remembers the top under the next number. */
  memoize(): void {
    const next = this.#memo.length;
    this.remember(next, next);
  }

  recall(key: unknown): PickleValue {
    const dense = this.#memo[key as number];
    const value = dense === undefined ? this.#sparseMemo.get(key as number) : dense;
    return value === undefined ? this.#fail(`it asks its memo for ${String(key)}, which is not there`) : value;
  }

  /** Takes memory off the budget before it is used. */
  charge(bytes: number): void {
    this.#charged += bytes;
    if (this.#charged <= BASE_MEMORY_BYTES) return;
    const most = BASE_MEMORY_BYTES + MEMORY_PER_BYTE * this.#bytesRead();
    if (this.#charged > most) this.#fail(`its values would take more than ${most} bytes of memory`);
  }

  #refuseUnderflow(count: number): void {
    const above = this.#values.length - (this.#marks.at(-1) ?? 0);
    if (above < count) this.#fail('it takes more from its stack than is there');
  }
}

const MEMO_ENTRY_BYTES = 16;
const SPARSE_ENTRY_BYTES = 40;
