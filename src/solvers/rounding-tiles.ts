/** Scales of integer codes that stand before a sweep, for a device that rounds by itself: a weight is (code − zero) · scale. */
export interface RoundingTiles {
  /** The largest code; the smallest is 0. */
  readonly most: number;
  /** A scale and a zero of each row and group of columns, [rows, groups, 2]. */
  readonly values: Float32Array;
  /** The group of a column. */
  groupOf(column: number): number;
  /** Keeps codes [rows, columns.length] of these columns. */
  take(columns: Int32Array, codes: Int32Array): void;
}
