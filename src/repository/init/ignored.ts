import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { git, gitFailed } from '../git.js';
import type { Conflict } from './change.js';

/** One of each kind of file that should get into git. */
const PROBES = [
  'models/README.md',
  'models/model.safetensors',
  'models/model.gguf',
  'models/model.pt',
  'configs/README.md',
  'diffs/README.md',
  '.pre-commit-config.yaml',
];

/** The rules (.gitignore files, the user's own excludes) that keep weights, or what `init` makes, out of git. */
export async function ignoreConflicts(root: string): Promise<Conflict[]> {
  const args = ['check-ignore', '--no-index', '-v', '-z', '--stdin'];
  const input = (await probesWithin(root)).map((probe) => `${probe}\0`).join('');
  const { stdout, stderr, code } = await git(args, { cwd: root, input });
  // 1: none is ignored.
  if (code > 1) throw gitFailed(args, root, stderr);
  const fields = stdout.toString('utf8').split('\0');
  const conflicts = new Map<string, Conflict>();
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [file = '', line = '', pattern = '', probe = ''] = fields.slice(at, at + 4);
    if (pattern.startsWith('!') || conflicts.has(`${file}:${line}`)) continue;
    conflicts.set(`${file}:${line}`, {
      file,
      line: Number(line),
      what: `"${pattern}" keeps files such as ${probe} out of git`,
      fix: 'Remove that line, or leave it if such files are kept elsewhere (DVC, a store of models).',
    });
  }
  return [...conflicts.values()];
}

/** Git refuses to speak of what is behind a symbolic link: that is no part of the repository. */
async function probesWithin(root: string): Promise<string[]> {
  const behindLinks = await Promise.all(
    PROBES.map(async (probe) => {
      const top = await lstat(path.join(root, probe.split('/')[0] ?? '')).catch(() => undefined);
      return top?.isSymbolicLink() === true;
    }),
  );
  return PROBES.filter((_, index) => !behindLinks[index]);
}
