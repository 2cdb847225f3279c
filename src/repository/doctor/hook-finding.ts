import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gitOutput, withoutNewline } from '../git.js';
import type { RepositoryFinding } from './finding.js';
import { programVersion } from './program-version.js';

const CONFIG = '.pre-commit-config.yaml';

/**
 * Whether weights are checked before a commit: by a hook of ours, or by pre-commit with one of ours in its config. Where
 * there are none, nothing has to be.
 */
export async function hookFinding(root: string, hasWeights: boolean): Promise<RepositoryFinding> {
  const id = 'hook';
  const file = path.resolve(
    root,
    withoutNewline(await gitOutput(['rev-parse', '--git-path', 'hooks/pre-commit'], { cwd: root })),
  );
  const [hook, config] = await Promise.all([textOf(file), textOf(path.join(root, CONFIG))]);
  const configured = /\bbirdbone\b/.test(config ?? '');
  if (/\bbirdbone\b/.test(hook ?? '')) return { id, status: 'ok', what: `${file} checks weights before a commit` };
  if (/\bpre-commit\b/.test(hook ?? '')) {
    return configured
      ? { id, status: 'ok', what: `pre-commit checks weights before a commit, by ${CONFIG}` }
      : { id, status: 'warn', what: `pre-commit runs, and ${CONFIG} has no hook of birdbone's`, fix: 'birdbone init' };
  }
  const what = hook === undefined ? 'nothing checks weights before a commit' : `${file} does not check weights`;
  const fix = configured ? await preCommitFix(root) : 'birdbone hooks install';
  return { id, status: hasWeights ? 'warn' : 'absent', what, fix };
}

async function preCommitFix(root: string): Promise<string> {
  const isInstalled = (await programVersion('pre-commit', root)) !== undefined;
  return isInstalled
    ? 'pre-commit install'
    : 'pip install pre-commit, then pre-commit install; or birdbone hooks install';
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
