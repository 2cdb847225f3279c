import { WEIGHT_SUFFIXES } from '../weight-path.js';

/**
 * Names of files that hold weights, and of archives that may: git keeps every version of such a file whole and for ever, so
 * they belong into git-lfs. Each is `*` and a suffix, without a folder, so that it holds in all of them.
 */
export const WEIGHT_PATTERNS: readonly string[] = [...WEIGHT_SUFFIXES, '.tar.gz', '.zip'].map((suffix) => `*${suffix}`);

/** What `git lfs track` writes behind a pattern: content through git-lfs, no text diff or merge, line ends as they are. */
export const LFS_ATTRIBUTES = 'filter=lfs diff=lfs merge=lfs -text';
