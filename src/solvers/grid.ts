import type { RoundingTiles } from './rounding-tiles.js';

/** Which numbers a matrix's weights may become. The sweep asks for them column by column, in the order it goes. */
export interface Grid {
  /**
   * Columns [k · groupColumns, (k + 1) · groupColumns) share scales, which are fitted when the sweep comes to them: to the weights
   * as corrections have left them. Absent where all scales stand before the sweep: then columns may come in any order.
   */
  readonly groupColumns?: number;
  /** Fits the scales of the group that begins at this column to its weights [rows, columns]. */
  fit?(firstColumn: number, weights: { readonly values: Float32Array; readonly columns: number }): void;
  /** The same as tiles of integers, where that is what it is and they stand before the sweep. */
  tiles?(): RoundingTiles | undefined;
  /** The number that the weight becomes, whose code the grid keeps. 0 stays 0. */
  round(row: number, column: number, weight: number): number;
}
