import { CHUNK_ELEMENTS, finiteSums, PairSums, type SummedValues } from './pair-sums-kernel.js';
import type { ValueSums } from './value-sums.js';

/** The sums over one chunk of a tensor: elements from `chunk` · 2^20 on. */
export interface ChunkOfSums {
  readonly chunk: number;
  readonly sums: ValueSums;
}

/** Chunks of tensors whose sums are known, by the tensors' names. */
export type KnownDifferences = ReadonlyMap<string, readonly ChunkOfSums[]>;

/** Elements of a tensor that a walk goes over: from `first` on, of so many in all. */
export interface WalkedElements {
  readonly first: number;
  readonly elements: number;
}

/** Whether a walk over so many elements passes every chunk that it enters from its first element to its last. */
export function isWholeChunks({ first, elements }: WalkedElements, count: number): boolean {
  const end = first + count;
  return first % CHUNK_ELEMENTS === 0 && (end % CHUNK_ELEMENTS === 0 || end === elements);
}

/** The least number of rows of so many elements that are whole chunks: a chunk has a power of two of them, and so has a row's even part. */
export function rowsOfWholeChunks(columns: number): number {
  let rows = CHUNK_ELEMENTS;
  for (let rest = columns; rest % 2 === 0 && rows > 1; rest /= 2) rows /= 2;
  return rows;
}

/**
 * Sums of the chunks of a tensor that a walk over elements of it passes from their first to their last: those that a diff makes of
 * them, to the last digit. Chunks with elements that are not finite are left out. A thread walks one at a time.
 */
export class ChunkSums {
  readonly chunks: ChunkOfSums[] = [];
  readonly #elements: number;
  /** The element that comes next. */
  #at: number;
  #current: PairSums | undefined;
  readonly #changed: 'bits' | 'values';

  /** `changed`: whether the tensors are of one type, and share bits, or of two: what is added may be wider than what is stored. */
  constructor({ first, elements }: WalkedElements, changed: 'bits' | 'values') {
    this.#at = first;
    this.#elements = elements;
    this.#changed = changed;
  }

  /** Goes over the next elements of both sides. Their number is a multiple of four, unless they are the tensor's last. */
  add(before: SummedValues, after: SummedValues): void {
    const [x, y] = [before, after].map(({ dtype }) => (dtype === 'F32' ? 4 : 2)) as [number, number];
    const count = before.bytes.length / x;
    for (let done = 0; done < count; ) {
      const chunkStart = this.#at - (this.#at % CHUNK_ELEMENTS);
      const chunkEnd = Math.min(chunkStart + CHUNK_ELEMENTS, this.#elements);
      const length = Math.min(chunkEnd - this.#at, count - done);
      if (this.#at === chunkStart) this.#current = new PairSums(this.#changed);
      this.#current?.add(
        { dtype: before.dtype, bytes: before.bytes.subarray(done * x, (done + length) * x) },
        { dtype: after.dtype, bytes: after.bytes.subarray(done * y, (done + length) * y) },
      );
      done += length;
      this.#at += length;
      if (this.#at === chunkEnd) this.#finish(chunkStart);
    }
  }

  #finish(start: number): void {
    const sums = this.#current && finiteSums(this.#current.total(), this.#at - start);
    this.#current = undefined;
    if (sums !== undefined) this.chunks.push({ chunk: start / CHUNK_ELEMENTS, sums });
  }
}
