import type { ValueSums } from '../differences/index.js';
import type { Dtype } from '../tensor/index.js';

export const TENSOR_STATUSES = ['identical', 'changed', 'reshaped', 'added', 'removed'] as const;
export type TensorStatus = (typeof TENSOR_STATUSES)[number];

/** How far values moved. Elements that are not finite on either side are counted, and in no norm. */
export interface ValueDiff {
  readonly elements: number;
  /** Elements whose stored bits differ; whose values differ where the dtype does, or where blocks share their bits. */
  readonly changed: number;
  readonly fractionChanged: number;
  readonly sparsityBefore: number;
  readonly sparsityAfter: number;
  /** ‖after − before‖ / ‖before‖, Frobenius; null when everything was zero before and no longer is. */
  readonly relativeError: number | null;
  /** null when one side is all zeros. */
  readonly cosine: number | null;
  readonly maxAbsoluteChange: number | null;
  readonly nonFiniteBefore: number;
  readonly nonFiniteAfter: number;
}

export interface TensorSide {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface TensorDiff {
  readonly name: string;
  /** `reshaped`: the shapes differ, so values are not compared. A tensor of another dtype and the same shape is `changed`. */
  readonly status: TensorStatus;
  readonly before: TensorSide | null;
  readonly after: TensorSide | null;
  /** Of changed tensors; null as well for element types without values (packed below a byte, complex). */
  readonly values: ValueDiff | null;
}

/** A key of config.json, of the files' own metadata, or an alias, that is not what it was. Absent values are null. */
export interface FieldChange {
  readonly where: 'config' | 'metadata' | 'alias';
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface CheckpointSide {
  readonly name: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** What differs between two checkpoints. Plain JSON; `diff` is the version of this schema. */
export interface DiffReport {
  readonly diff: 1;
  readonly before: CheckpointSide;
  readonly after: CheckpointSide;
  readonly identical: boolean;
  readonly counts: Readonly<Record<TensorStatus, number>>;
  /** All changed tensors taken together as one; null when none has values to compare. */
  readonly values: ValueDiff | null;
  readonly fields: readonly FieldChange[];
  /** Every tensor of either side, in name order. */
  readonly tensors: readonly TensorDiff[];
}

export function valueDiff(sums: ValueSums): ValueDiff {
  const { elements, changed, squaresBefore, squaresAfter, squaresOfChange } = sums;
  const fraction = (count: number) => (elements === 0 ? 0 : count / elements);
  return {
    elements,
    changed,
    fractionChanged: fraction(changed),
    sparsityBefore: fraction(sums.zerosBefore),
    sparsityAfter: fraction(sums.zerosAfter),
    relativeError: squaresOfChange === 0 ? 0 : finite(Math.sqrt(squaresOfChange / squaresBefore)),
    cosine: cosine(sums.products, Math.sqrt(squaresBefore) * Math.sqrt(squaresAfter)),
    maxAbsoluteChange: finite(Math.sqrt(sums.largestSquare)),
    nonFiniteBefore: sums.nonFiniteBefore,
    nonFiniteAfter: sums.nonFiniteAfter,
  };
}

function cosine(products: number, norms: number): number | null {
  // Rounding can carry the quotient of two equal vectors past 1 by an ulp.
  return norms === 0 ? null : finite(Math.max(-1, Math.min(1, products / norms)));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
