import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { dvcFiles } from '../dvc-files.js';
import type { RepositoryFinding } from './finding.js';

/** Whether the repository has files of DVC's, and DVC to fetch what they stand for. */
export async function dvcFinding(root: string): Promise<RepositoryFinding> {
  const id = 'dvc';
  const pointers = await dvcFiles(root);
  if (pointers.length === 0) return { id, status: 'absent', what: 'there are no .dvc files' };
  const version = await dvcVersion(root);
  const what = `.dvc files: ${pointers.length}; birdbone hash --check compares what they track`;
  if (version !== undefined) return { id, status: 'ok', what: `${version}, ${what}` };
  return { id, status: 'warn', what: `${what}, and dvc is not installed`, fix: 'pip install dvc, to fetch and record' };
}

async function dvcVersion(root: string): Promise<string | undefined> {
  try {
    return (await promisify(execFile)('dvc', ['--version'], { cwd: root, timeout: 20_000 })).stdout.trim();
  } catch {
    // Not there, or not able to start: either way it is of no use.
    return undefined;
  }
}
