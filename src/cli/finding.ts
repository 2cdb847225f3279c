/** One thing that `doctor` looked at. */
export interface Finding {
  /** What was looked at, the same in every version: `node`, `git-lfs`. */
  readonly id: string;
  /** `absent`: it is not there, and need not be. `fail`: something that was set up does not work. */
  readonly status: 'ok' | 'warn' | 'fail' | 'absent';
  /** What was found, one line. */
  readonly what: string;
  /** What to do about it, one line; nothing where all is well. */
  readonly fix?: string;
}
