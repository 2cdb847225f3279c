import { chmod, link, lstat, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { renameDurably, syncFolder, temporaryName, writeFileDurably, writing } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import { gitOutput, gitRoot, withoutNewline } from '../git.js';
import { type HookPaths, hookScript, isOurHook } from './hook-script.js';

export interface HookOptions {
  /** Say what would happen, and write nothing. */
  readonly dryRun?: boolean;
}

export interface HookReport {
  readonly hook: string;
  /** What happened to the hook, or would. */
  readonly change: 'installed' | 'updated' | 'unchanged' | 'removed' | 'absent';
}

/** Hooks are short; what is longer was not written by birdbone. */
const MAX_HOOK_BYTES = 64 * 1024;

/**
 * Installs the pre-commit hook that checks weights, for the work tree around `cwd`, where git looks for it (core.hooksPath,
 * linked work trees). Once installed it stays as it is. Throws `usage`, with the line to add by hand, where somebody else's hook
 * is in its place or where the hooks are those of other repositories too.
 */
export async function installHook(cwd: string, paths: HookPaths, { dryRun = false }: HookOptions = {}) {
  const { root, hook, isShared, isOutside } = await placeOfHook(cwd);
  const existing = await existingHook(hook);
  if (existing !== undefined && !isOurHook(existing)) throw notOurs(hook, root);
  if (isOutside) throw outside(hook);
  // A hook that is in the work tree is committed and runs on other machines.
  const script = hookScript(isShared ? { node: '', entry: '' } : paths);
  if (existing === script && (await isExecutable(hook))) return report(hook, 'unchanged');
  if (!dryRun) await writeHook(hook, script, existing === undefined);
  return report(hook, existing === undefined ? 'installed' : 'updated');
}

/** Removes the hook that `installHook` wrote. Throws `usage` for any other, which stays. */
export async function uninstallHook(cwd: string, { dryRun = false }: HookOptions = {}): Promise<HookReport> {
  const { root, hook } = await placeOfHook(cwd);
  const existing = await existingHook(hook);
  if (existing === undefined) return report(hook, 'absent');
  if (!isOurHook(existing)) throw notOurs(hook, root);
  if (!dryRun) {
    await writing(hook, () => rm(hook));
    await syncFolder(path.dirname(hook));
  }
  return report(hook, 'removed');
}

async function placeOfHook(cwd: string) {
  const root = await gitRoot(cwd);
  if (root === undefined) {
    throw new BirdboneError('usage', `${cwd} is in no git repository, so there is no place for a hook.`, {
      suggestions: ['git init', 'birdbone hash --check'],
    });
  }
  const args = ['rev-parse', '--path-format=absolute', '--git-path', 'hooks', '--git-common-dir'];
  const [hooks = '', common = ''] = withoutNewline(await gitOutput(args, { cwd: root })).split('\n');
  const folder = path.resolve(root, hooks);
  const isInGit = isBelow(path.resolve(root, common), folder);
  const isShared = !isInGit && isBelow(root, folder);
  return { root, hook: path.join(folder, 'pre-commit'), isShared, isOutside: !isInGit && !isShared };
}

function isBelow(folder: string, place: string): boolean {
  const relative = path.relative(folder, place);
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

/** The text of what is in the hook's place; undefined for nothing. A link or a folder counts as somebody else's. */
async function existingHook(hook: string): Promise<string | undefined> {
  const status = await lstat(hook).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (status === undefined) return undefined;
  return status.isFile() && status.size <= MAX_HOOK_BYTES ? readFile(hook, 'utf8') : '';
}

async function isExecutable(hook: string): Promise<boolean> {
  return process.platform === 'win32' || ((await lstat(hook)).mode & 0o111) !== 0;
}

/** Whole and executable from its first moment; never in place of a hook that came meanwhile. */
async function writeHook(hook: string, script: string, isNew: boolean): Promise<void> {
  const temporary = temporaryName(hook);
  await writing(hook, async () => {
    await mkdir(path.dirname(hook), { recursive: true });
    await writeFileDurably(temporary, script);
    try {
      await chmod(temporary, 0o755);
      if (isNew) await link(temporary, hook);
      else await renameDurably(temporary, hook);
    } finally {
      await rm(temporary, { force: true });
    }
    await syncFolder(path.dirname(hook));
  });
}

function report(hook: string, change: HookReport['change']): HookReport {
  return { hook, change };
}

const LINE = 'birdbone hash --check --staged --quiet || exit 1';

function notOurs(hook: string, root: string): BirdboneError {
  return new BirdboneError('usage', `${hook} is a hook that birdbone did not write; it stays as it is.`, {
    file: hook,
    suggestions: [
      `Add this line to it: ${LINE}`,
      `Or, where https://pre-commit.com wrote it, add birdbone to ${path.join(root, '.pre-commit-config.yaml')}: docs/weight-hash-hook.md`,
    ],
  });
}

function outside(hook: string): BirdboneError {
  const message = `${hook} is where core.hooksPath has the hooks of every repository, not of this one alone.`;
  return new BirdboneError('usage', message, {
    file: hook,
    suggestions: [
      `Add this line to it: ${LINE}`,
      'Or give this repository its own: git config core.hooksPath .git/hooks',
    ],
  });
}
