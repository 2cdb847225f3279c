import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { mergeAttributes } from '../init/attributes.js';
import { committedWeights } from '../init/committed-weights.js';
import { existingFile } from '../init/existing-file.js';
import { type LfsSetup, lfsSetup } from '../init/lfs-setup.js';
import { LFS_ATTRIBUTES } from '../init/weight-patterns.js';
import { MAX_POINTER_BYTES, parseLfsPointer } from '../lfs-pointer.js';
import type { RepositoryFinding } from './finding.js';

/** git-lfs itself, its rules, weights that are not in it, and weights that are not here; `names` are git's files of weights. */
export async function lfsFindings(root: string, names: readonly string[]): Promise<RepositoryFinding[]> {
  const rules = await existingFile(root, '.gitattributes').catch(() => undefined);
  const usesLfs = /\bfilter=lfs\b/.test(rules ?? '');
  return [
    setupFinding(await lfsSetup(root), usesLfs),
    rulesFinding(rules ?? '', names.length > 0 || usesLfs),
    await weightsFinding(root),
    await pointersFinding(root, names),
  ];
}

function setupFinding({ version, filters }: LfsSetup, usesLfs: boolean): RepositoryFinding {
  const id = 'git-lfs';
  // With rules and without git-lfs, git would take the weights themselves.
  const status = usesLfs ? 'fail' : 'absent';
  if (version === undefined)
    return { id, status, what: 'git-lfs is not installed', fix: 'Install it: https://git-lfs.com' };
  if (!filters)
    return { id, status, what: `${version} is installed, and git does not know it`, fix: 'git lfs install' };
  return { id, status: 'ok', what: version };
}

function rulesFinding(text: string, isNeeded: boolean): RepositoryFinding {
  const id = 'attributes';
  const lacking = mergeAttributes(text)
    .text.split('\n')
    .filter((line) => line.trimEnd().endsWith(LFS_ATTRIBUTES) && !text.includes(line.trimEnd()))
    .map((line) => line.split(' ')[0]);
  if (lacking.length === 0) return { id, status: 'ok', what: '.gitattributes sends weights through git-lfs' };
  const what = `.gitattributes has no rule for ${lacking.join(' ')}`;
  return { id, status: isNeeded ? 'warn' : 'absent', what, fix: 'birdbone init' };
}

async function weightsFinding(root: string): Promise<RepositoryFinding> {
  const id = 'weights';
  const inGit = (await committedWeights(root)).filter(({ exempt }) => !exempt);
  const [largest] = inGit;
  if (largest === undefined) return { id, status: 'ok', what: 'no weights are in git itself' };
  const what = `weights are in git itself: ${inGit.length}, the largest ${largest.path}`;
  return { id, status: 'warn', what, fix: 'birdbone init --plan-lfs' };
}

async function pointersFinding(root: string, names: readonly string[]): Promise<RepositoryFinding> {
  const id = 'pointers';
  const pointers: string[] = [];
  for (const name of names) if (await isPointer(path.join(root, name))) pointers.push(name);
  const [first] = pointers;
  if (first === undefined)
    return { id, status: 'ok', what: 'no weights are git-lfs pointers that wait for their content' };
  const what = `weights are pointers without their content: ${pointers.length} of ${names.length}, such as ${first}`;
  return { id, status: 'warn', what, fix: 'git lfs pull' };
}

async function isPointer(file: string): Promise<boolean> {
  const status = await stat(file).catch(() => undefined);
  if (status?.isFile() !== true || status.size > MAX_POINTER_BYTES) return false;
  const handle = await open(file, 'r');
  try {
    const bytes = Buffer.alloc(status.size);
    await handle.read(bytes, 0, bytes.length, 0);
    return parseLfsPointer(bytes) !== undefined;
  } finally {
    await handle.close();
  }
}
