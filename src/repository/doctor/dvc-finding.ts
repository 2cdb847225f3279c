import { dvcFiles } from '../dvc-files.js';
import type { RepositoryFinding } from './finding.js';
import { programVersion } from './program-version.js';

/** Whether the repository has files of DVC's, and DVC to fetch what they stand for. */
export async function dvcFinding(root: string): Promise<RepositoryFinding> {
  const id = 'dvc';
  const pointers = await dvcFiles(root);
  if (pointers.length === 0) return { id, status: 'absent', what: 'there are no .dvc files' };
  const version = await programVersion('dvc', root);
  const what = `.dvc files: ${pointers.length}; birdbone hash --check compares what they track`;
  if (version !== undefined) return { id, status: 'ok', what: `${version}, ${what}` };
  return { id, status: 'warn', what: `${what}, and dvc is not installed`, fix: 'pip install dvc, to fetch and record' };
}
