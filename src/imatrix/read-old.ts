import { type ByteSource, quoted, unreadable } from '../checkpoint/index.js';
import { checkedEntry, type Imatrix, type ImatrixEntry } from './imatrix.js';

/** As many tensors as a GGUF may have (docs/gguf.md), and the longest name that it gives them. */
const MAX_ENTRIES = 120_000;
const MAX_NAME_BYTES = 127;
const MAX_DATASET_BYTES = 65_536;

/**
 * Reads the binary form: the number of entries; of each its name, how often it was called, its sums as float32 (multiplied by the calls
 * and divided by the tokens); then the calls of all and the text's name. Integers are 32-bit, little-endian. All lengths are checked
 * against the file before any sum is read.
 */
export async function readOldImatrix(source: ByteSource): Promise<Imatrix> {
  const reader = new Reader(source);
  const count = reader.count('entries', MAX_ENTRIES);
  if (count === 0) throw unreadable(source.path, 'it has no entries');
  const places = new Map<string, { readonly calls: number; readonly at: number; readonly values: number }>();
  for (let entry = 0; entry < count; entry += 1) {
    const name = reader.text(`the name of entry ${entry}`, MAX_NAME_BYTES);
    if (places.has(name)) throw unreadable(source.path, `it has two entries ${quoted(name)}`);
    const calls = reader.count(`the calls of ${quoted(name)}`, 2 ** 31);
    const values = reader.count(`the values of ${quoted(name)}`, 2 ** 31);
    places.set(name, { calls, at: reader.skip(4 * values, `the values of ${quoted(name)}`), values });
  }
  // The first writers of the form ended here, the next ones after the chunks.
  const chunks = reader.atEnd ? 0 : reader.count('chunks', 2 ** 31);
  const datasets = reader.atEnd ? [] : [reader.text('the dataset', MAX_DATASET_BYTES)];
  if (!reader.atEnd) throw unreadable(source.path, 'bytes follow its last part');
  const entries = new Map<string, ImatrixEntry>();
  for (const [name, { calls, at, values }] of places) {
    const bytes = await source.read(at, 4 * values);
    const broken = (problem: string) => unreadable(source.path, `${quoted(name)} ${problem}`, { tensor: name });
    // Experts lie one after the other and share the calls, so that they look like one wide matrix here.
    entries.set(
      name,
      checkedEntry({ sums: new Float32Array(bytes.buffer), counts: Float32Array.of(Math.max(1, calls)) }, broken),
    );
  }
  return { entries, datasets, chunks, chunkSize: 0 };
}

class Reader {
  readonly #source: ByteSource;
  #at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.#at === this.#source.size;
  }

  /** A whole number from 0 to `max`. */
  count(what: string, max: number): number {
    const bytes = Buffer.from(this.#take(4, what));
    const value = bytes.readInt32LE();
    if (value >= 0 && value <= max) return value;
    throw unreadable(this.#source.path, `${what} number ${value}; allowed are 0 to ${max}. It is no importance matrix`);
  }

  text(what: string, maxBytes: number): string {
    const bytes = this.#take(this.count(`the bytes of ${what}`, maxBytes), what);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (cause) {
      throw unreadable(this.#source.path, `${what} is not UTF-8`, { cause });
    }
  }

  /** Steps over bytes; returns where they start. */
  skip(length: number, what: string): number {
    if (length > this.#source.size - this.#at) throw unreadable(this.#source.path, `it ends within ${what}`);
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #take(length: number, what: string): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#source.readSync(this.skip(length, what), bytes);
    return bytes;
  }
}
