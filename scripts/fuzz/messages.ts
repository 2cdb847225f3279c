/** What a parent tells its worker: run these mutations; carefully: say before each one that it comes. */
export interface Batch {
  readonly from: number;
  /** Not included. */
  readonly to: number;
  readonly careful: boolean;
}

export type FindingKind = 'crash' | 'hang' | 'memory' | 'death';

export interface Finding {
  readonly kind: FindingKind;
  readonly index: number;
  readonly signature: string;
  readonly stack: string;
  /** Base64. */
  readonly bytes: string;
}

/** Of the mutations since the last message of this kind. */
export interface Progress {
  readonly type: 'progress';
  readonly at: number;
  readonly opened: number;
  readonly refused: number;
  readonly failed: number;
  readonly slowestMilliseconds: number;
  readonly slowestIndex: number;
  readonly peakBytes: number;
  readonly isDone: boolean;
}

export type FromWorker =
  | Progress
  | { readonly type: 'next'; readonly index: number }
  | { readonly type: 'finding'; readonly finding: Finding };
