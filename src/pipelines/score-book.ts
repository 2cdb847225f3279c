import path from 'node:path';
import { canonicalJson, readJsonFile, writeFileDurably } from '../checkpoint/index.js';
import type { Passage } from '../corpus/index.js';
import type { PassageComparison, PassageScore, Scored } from '../evaluation/index.js';

/** Scores of the first passages of a text: sums, so that more passages only add to them. */
export interface Scores {
  readonly scores: readonly PassageScore[];
  /** Against the dense model; empty where nobody asked. */
  readonly comparisons: readonly PassageComparison[];
}

/** 200 bytes a passage: 100 000 passages have 20 MB. */
const MAX_BOOK_BYTES = 64 * 1024 * 1024;

/** A file that keeps what was measured of one model, passage by passage, under a key that says of what. */
export class ScoreBook {
  readonly #file: string;
  readonly #key: string;
  #known: Scores;

  private constructor(file: string, key: string, known: Scores) {
    this.#file = file;
    this.#key = key;
    this.#known = known;
  }

  /** Opens a book; what it holds under another key counts for nothing. Throws `unreadable` for a file that is no book. */
  static async open(folder: string, key: Readonly<Record<string, unknown>>): Promise<ScoreBook> {
    const file = path.join(folder, 'scores.json');
    const found = await readJsonFile(file, { maxBytes: MAX_BOOK_BYTES });
    const known = found?.value as (Scores & { readonly key: string }) | undefined;
    const text = canonicalJson(key);
    return new ScoreBook(file, text, known?.key === text ? known : { scores: [], comparisons: [] });
  }

  /** Scores of the first `count` passages: those that are not known yet are measured, and kept. */
  async upTo(
    count: number,
    passages: readonly Passage[],
    measure: (passages: readonly Passage[]) => Promise<Pick<Scored, 'scores' | 'comparisons'>>,
  ): Promise<Scores> {
    const { scores, comparisons } = this.#known;
    if (scores.length < count) {
      const more = await measure(passages.slice(scores.length, count));
      this.#known = {
        scores: [...scores, ...more.scores],
        comparisons: [...comparisons, ...(more.comparisons ?? [])],
      };
      await writeFileDurably(this.#file, JSON.stringify({ key: this.#key, ...this.#known }));
    }
    const known = this.#known;
    return { scores: known.scores.slice(0, count), comparisons: known.comparisons.slice(0, count) };
  }
}
