/** A step of a migration: what it is for, and what to type. */
export interface LfsStep {
  readonly title: string;
  readonly commands: readonly string[];
}

/** What the commands depend on. */
export interface LfsCommandFacts {
  /** The repository's folder, by its last name. */
  readonly name: string;
  readonly patterns: readonly string[];
  /** Paths under these patterns that stay in git. */
  readonly exempt: readonly string[];
  /** Where the rewritten history has to be pushed; none is fine. */
  readonly remotes: readonly string[];
}

/**
 * The commands that move weights out of a repository's history into git-lfs, in order: keep a copy, migrate, check, free the
 * space, tell the others; and how to go back. Run at the top of the repository, in a POSIX shell.
 */
export function lfsSteps({ name, patterns, exempt, remotes }: LfsCommandFacts): LfsStep[] {
  const backup = quoted(`../${name}-before-lfs.git`);
  const include = `--include=${quoted(patterns.join(','))}`;
  const exclude = exempt.length === 0 ? '' : ` --exclude=${quoted(exempt.map(anchored).join(','))}`;
  return [
    { title: 'Keep a copy of everything, to go back to', commands: [`git clone --mirror . ${backup}`] },
    {
      title: 'Migrate: every commit that has weights, and every one after it, gets a new name',
      // git-lfs 3.3 leaves pointers in the working tree.
      commands: [
        'git lfs install --local',
        `git lfs migrate import --everything ${include}${exclude}`,
        'git lfs checkout',
      ],
    },
    { title: 'Check', commands: ['git lfs ls-files --all', 'git lfs fsck', 'git status'] },
    {
      title: 'Free the space that the old history takes',
      commands: ['git reflog expire --expire=now --all', 'git gc --prune=now'],
    },
    ...remotes.map((remote) => ({
      title: `Replace the history at ${remote}, agreed with everybody who has a clone: they clone anew`,
      commands: [`git push --force --all ${quoted(remote)}`, `git push --force --tags ${quoted(remote)}`],
    })),
    {
      title: 'To go back instead',
      commands: [`git fetch --force --update-head-ok ${backup} ${quoted('+refs/*:refs/*')}`, 'git reset --hard'],
    },
  ];
}

/** A path for git-lfs's patterns, which go by the last name alone where there is no slash. */
function anchored(path: string): string {
  return path.includes('/') ? path : `/${path}`;
}

/** One word of a POSIX shell. */
function quoted(word: string): string {
  if (/^[A-Za-z0-9_@%+:,./-]+$/.test(word)) return word;
  return /[!"$`\\]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : `"${word}"`;
}
