import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { InputEvidence } from './block-evidence.js';

/** Gathers one kind of evidence of one input, batch after batch. */
export interface Collector {
  /** Sees the input's tokens [n, columns] inside the pass's tidy; keeps on the device what `settle` or `finish` reads. */
  observe(values: Tensor2D): void;
  /** After each batch: takes what was kept to the host, but for sums that stay on the device until `finish`. */
  settle(): Promise<void>;
  /** After the last batch: what was found. */
  finish(): Promise<Partial<Omit<InputEvidence, 'tokens' | 'columns'>>>;
  /** Drops whatever is kept, at the end and after a failure. */
  drop(): void;
}

/** Rows whose float32 sums are made at once; they are added up in more precision. See docs/evidence.md for the error this leaves. */
export const SUMMED_ROWS = 1024;

/** The row ranges, of at most `SUMMED_ROWS`, that `rows` rows are summed in. */
export function summedRanges(rows: number): { readonly start: number; readonly count: number }[] {
  const ranges: { start: number; count: number }[] = [];
  for (let start = 0; start < rows; start += SUMMED_ROWS) {
    ranges.push({ start, count: Math.min(SUMMED_ROWS, rows - start) });
  }
  return ranges;
}
