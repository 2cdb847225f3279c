import type { Mask } from './mask.js';
import type { MatrixScores } from './scores.js';

/** Which weights compete for staying: those of one output row, of one matrix, or of all matrices. */
export type Comparison = 'row' | 'layer' | 'global';

/** A pattern that leaves open how much goes, and which weights compete. */
export interface FreePattern {
  readonly kind: 'free';
  readonly name: string;
  /**
   * Removes exactly ⌊n · sparsity⌋ of every group of n competing weights, or exactly `removed` weights of the matrix: of each row
   * the same number, and one more of the rows whose next weight scores least; or of each row as many as `rowCounts` [rows] says.
   * `global` is maskGlobally: it needs all matrices.
   */
  mask(scores: MatrixScores, removal: FreeRemoval): Mask;
}

export type FreeRemoval =
  | ({ readonly compare: 'row' | 'layer' } & ({ readonly sparsity: number } | { readonly removed: number }))
  | { readonly compare: 'row'; readonly rowCounts: ArrayLike<number> };

/** A pattern that says how much goes, and in which groups. */
export interface FixedPattern {
  readonly kind: 'fixed';
  readonly name: string;
  /** Fraction removed of a matrix that the pattern divides. */
  readonly sparsity: number;
  /** Consecutive inputs that are decided together: M of N:M. */
  readonly group: number;
  /** How many of a group stay: N of N:M. */
  readonly kept: number;
  mask(scores: MatrixScores): Mask;
}

/**
 * How the kept weights lie in a matrix. Removes the smallest scores of each group; among equal scores the one with the lower
 * index goes first. Pure and deterministic: the same scores give the same bits.
 */
export type Pattern = FreePattern | FixedPattern;

/** Patterns of one kind, told apart by what the user writes. */
export interface PatternFamily {
  /** What may be written, for messages. */
  readonly form: string;
  /** The pattern `text` names; undefined when another family's, throws `usage` when of this one but impossible. */
  parse(text: string): Pattern | undefined;
}
