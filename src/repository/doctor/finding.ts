/** One thing that `doctor` looked at in a repository. */
export interface RepositoryFinding {
  readonly id: 'git' | 'repository' | 'git-lfs' | 'attributes' | 'weights' | 'pointers' | 'hook' | 'hashes' | 'dvc';
  /** `absent`: it is not there, and need not be. `fail`: something that was set up does not work. */
  readonly status: 'ok' | 'warn' | 'fail' | 'absent';
  /** One line. */
  readonly what: string;
  /** One line; nothing where all is well. */
  readonly fix?: string;
}
