import { BirdboneError } from '../../errors.js';
import { git, gitOutput, gitRoot } from '../git.js';
import { WEIGHT_PATHSPECS } from '../init/blobs.js';
import { HASHES_FILE } from '../weight-hashes.js';
import { readWeightHashes } from '../working-tree.js';
import { dvcFinding } from './dvc-finding.js';
import type { RepositoryFinding } from './finding.js';
import { hookFinding } from './hook-finding.js';
import { lfsFindings } from './lfs-findings.js';

/**
 * What there is to say of git on this machine, and of the repository that a folder is in: git-lfs, its rules and its files,
 * the hook, the hashes, DVC. Reads only; asks no remote.
 */
export async function repositoryFindings(folder: string): Promise<RepositoryFinding[]> {
  const version = await gitVersion(folder);
  if (version === undefined) {
    const what = 'git is not installed: hash --check, hooks and init need it';
    return [{ id: 'git', status: 'warn', what, fix: 'Install git: https://git-scm.com' }];
  }
  const found: RepositoryFinding = { id: 'git', status: 'ok', what: version };
  try {
    const root = await gitRoot(folder);
    return [found, ...(root === undefined ? [noRepository(folder)] : await findingsOf(root))];
  } catch (error) {
    // A repository of somebody else's, which git refuses; a broken index.
    if (!(error instanceof BirdboneError)) throw error;
    const [what = ''] = error.message.split('\n');
    return [found, { id: 'repository', status: 'fail', what, fix: 'git status says more.' }];
  }
}

async function gitVersion(folder: string): Promise<string | undefined> {
  try {
    return (await gitOutput(['version'], { cwd: folder }))
      .toString('utf8')
      .replace(/^git version /, '')
      .trim();
  } catch (error) {
    if (error instanceof BirdboneError && error.code === 'unsupported') return undefined;
    throw error;
  }
}

function noRepository(folder: string): RepositoryFinding {
  return { id: 'repository', status: 'absent', what: `${folder} is in no git repository`, fix: 'birdbone init --git' };
}

async function findingsOf(root: string): Promise<RepositoryFinding[]> {
  const branch = await git(['symbolic-ref', '--quiet', '--short', 'HEAD'], { cwd: root });
  const at = branch.code === 0 ? `, on ${branch.stdout.toString('utf8').trim()}` : '';
  const listed = await gitOutput(['ls-files', '-z', '--', ...WEIGHT_PATHSPECS], { cwd: root });
  const names = listed.toString('utf8').split('\0').filter(Boolean);
  return [
    { id: 'repository', status: 'ok', what: `${root}${at}` },
    ...(await lfsFindings(root, names)),
    await hookFinding(root, names.length > 0),
    await hashesFinding(root),
    await dvcFinding(root),
  ];
}

async function hashesFinding(root: string): Promise<RepositoryFinding> {
  const id = 'hashes';
  try {
    const hashes = await readWeightHashes(root);
    if (hashes === undefined) {
      return { id, status: 'absent', what: `there is no ${HASHES_FILE}`, fix: 'birdbone hash --update' };
    }
    return { id, status: 'ok', what: `${HASHES_FILE} has hashes of weights: ${hashes.size}` };
  } catch (error) {
    if (!(error instanceof BirdboneError)) throw error;
    const [what = ''] = error.message.split('\n');
    return { id, status: 'fail', what, fix: error.suggestions[0] ?? 'birdbone hash --update' };
  }
}
