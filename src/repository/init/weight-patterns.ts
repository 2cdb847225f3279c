/**
 * Names of files that hold weights, or archives of them: git keeps every version of such a file whole and for ever, so they
 * belong into git-lfs. Each pattern is `*` and a suffix, without a folder, so that it holds in all of them.
 */
export const WEIGHT_PATTERNS = [
  '*.safetensors',
  '*.gguf',
  '*.pt',
  '*.pth',
  '*.th',
  '*.ckpt',
  '*.bin',
  '*.pkl',
  '*.npz',
  '*.h5',
  '*.tar.gz',
  '*.zip',
] as const;

/** What `git lfs track` writes behind a pattern: content through git-lfs, no text diff or merge, line ends as they are. */
export const LFS_ATTRIBUTES = 'filter=lfs diff=lfs merge=lfs -text';
