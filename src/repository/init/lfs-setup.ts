import { git } from '../git.js';

/** Whether git-lfs works here. */
export interface LfsSetup {
  /** As `git lfs version` has it; undefined where git-lfs is not installed. */
  readonly version?: string;
  /** `git lfs install` was run for this user, this machine or this repository: git calls git-lfs for its files. */
  readonly filters: boolean;
}

/** Whether git-lfs is installed, and known to git in a folder. */
export async function lfsSetup(folder: string): Promise<LfsSetup> {
  const version = await git(['lfs', 'version'], { cwd: folder });
  const filter = await git(['config', '--get-regexp', '^filter\\.lfs\\.(process|clean)$'], { cwd: folder });
  return {
    ...(version.code === 0 && { version: version.stdout.toString('utf8').trim().split(' ')[0] ?? '' }),
    filters: filter.code === 0,
  };
}
