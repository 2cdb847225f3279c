import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { InputEvidence } from './block-evidence.js';

/** Gathers one kind of evidence of one input, batch after batch. */
export interface Collector {
  /** Sees the input's tokens [n, columns] inside the pass's tidy; keeps on the device what `settle` reads. */
  observe(values: Tensor2D): void;
  /** Takes what was kept to the host; nothing stays on the device. */
  settle(): Promise<void>;
  /** Drops what was kept and not settled. */
  drop(): void;
  /** After the last batch: what was found. */
  finish(): Partial<Omit<InputEvidence, 'tokens' | 'columns'>>;
}

/** Rows whose float32 sums are made at once; they are added up in float64. See docs/evidence.md for the error this leaves. */
export const SUMMED_ROWS = 1024;

/** The row ranges, of at most `SUMMED_ROWS`, that `rows` rows are summed in. */
export function summedRanges(rows: number): { readonly start: number; readonly count: number }[] {
  const ranges: { start: number; count: number }[] = [];
  for (let start = 0; start < rows; start += SUMMED_ROWS) {
    ranges.push({ start, count: Math.min(SUMMED_ROWS, rows - start) });
  }
  return ranges;
}
