/** A rule of the user's that stands against what `init` sets up; it is told, and left as it is. */
export interface Conflict {
  /** Relative to the top of the repository. */
  readonly file: string;
  /** From 1, where one line is to blame. */
  readonly line?: number;
  readonly what: string;
  /** One line: what the user can do. */
  readonly fix: string;
}

/** A file's text with what was missing, and what stood in the way. */
export interface Merged {
  readonly text: string;
  readonly conflicts: readonly Conflict[];
}
