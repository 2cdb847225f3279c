import type { Report } from '../events.js';
import type { Mask, MatrixScores } from '../sparsity/index.js';
import type { Device, GroupRule } from '../tensor/index.js';
import type { Gram } from './damping.js';

/** One matrix that a solver works on; it changes the values in place. A weight that is 0 is gone, and stays 0. */
export interface SolverMatrix {
  /** The tensor, for messages. */
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** Row-major, rows = outputs. */
  readonly values: Float32Array;
}

/** How much is to be removed, and among which weights: the pattern, at this matrix's sparsity. */
export interface Removal {
  /** Inputs that are decided together (M of N:M); absent where the weights of many columns compete. */
  readonly group?: number;
  /**
   * The same choice as data, for scores [rows, columns] that are on a device; absent where more compete than a row's weights, or
   * not each row loses alike.
   */
  rule?(columns: number): GroupRule;
  /** Keeps the largest scores; the matrix may be a part of whole groups of columns, from `firstColumn` on. */
  mask(scores: MatrixScores, firstColumn?: number): Mask;
}

export interface SolverContext {
  /** What messages call the linears whose input this is. */
  readonly name: string;
  readonly device: Device;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/** Corrects a matrix whose mask is chosen: values outside it become 0, those inside make up for them. */
export type Refit = (matrix: SolverMatrix, mask: Mask) => Promise<void>;

/** Chooses what goes and corrects what stays. */
export type Prune = (matrix: SolverMatrix, removal: Removal) => Promise<void>;

/** Floating-point operations, estimated. */
export interface SolverCost {
  /** What linears of one input share, of an input of so many columns. */
  perInput(columns: number): number;
  perMatrix(rows: number, columns: number): number;
}

/**
 * What becomes of the weights that stay. `mask-only` leaves them as they are; `refits` takes the mask that a metric chose;
 * `prunes` chooses its own. `prepare` does what all linears of one input share; it may overwrite the Gram matrix.
 */
export type Solver =
  | { readonly kind: 'mask-only' }
  | {
      readonly kind: 'refits';
      readonly cost: SolverCost;
      prepare(gram: Gram, context: SolverContext): Promise<Refit>;
    }
  | {
      readonly kind: 'prunes';
      readonly cost: SolverCost;
      /** Throws `unsupported` for a matrix of so many inputs that it is not made for. */
      checkColumns?(name: string, columns: number): void;
      prepare(gram: Gram, context: SolverContext): Promise<Prune>;
    };
