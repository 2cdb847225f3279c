/** Token ids that are scored together, with nothing before them: a window, or a document with its BOS. */
export interface Passage {
  /** Every id after the first is predicted and scored. */
  readonly ids: Int32Array;
}

/**
 * How a text becomes passages. windows: the whole file encoded once without BOS, cut into windows that do not overlap, the
 * rest dropped. documents: each document is BOS and its ids, cut at the context length.
 */
export type Protocol = 'windows' | 'documents';

/** The file that a text came from, as manifests and journals name it. */
export interface TextSource {
  readonly name: string;
  readonly sha256: string;
}

export interface TextPassages {
  readonly protocol: Protocol;
  readonly context: number;
  readonly passages: readonly Passage[];
  /** Documents that were left out because nothing in them can be scored: fewer than two ids with BOS. */
  readonly dropped: number;
  /** Tokens of the file that lie before the first passage and are not used: those that calibration took. */
  readonly skippedTokens: number;
  readonly source: TextSource;
}
