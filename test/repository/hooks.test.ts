import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { installHook, uninstallHook } from '../../src/repository/index.js';
import { GIT_ENVIRONMENT, type GitRepository } from '../fixtures/git-repository.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { weights, weightsRepository } from '../fixtures/weights-repository.js';

const BUILT = { node: process.execPath, entry: path.resolve('bin/run.js') };
const A = weights({ a: [1, 2] });

const hookOf = (repository: GitRepository): string => path.join(repository.root, '.git/hooks/pre-commit');

/** Commits what is there, as a user would, whatever comes of it. */
function commit(root: string, env: Readonly<Record<string, string>> = {}, ...args: string[]) {
  const all = { ...process.env, ...GIT_ENVIRONMENT, XDG_RUNTIME_DIR: '/tmp', ...env };
  return spawnSync('git', ['commit', '--quiet', '-m', 'x', ...args], { cwd: root, env: all, encoding: 'utf8' });
}

describe('installHook', () => {
  it('writes a hook that can be run, once, and takes it away again', async () => {
    const repository = weightsRepository();
    expect(await installHook(repository.root, BUILT, { dryRun: true })).toMatchObject({ change: 'installed' });
    expect(existsSync(hookOf(repository))).toBe(false);
    expect(await installHook(repository.root, BUILT)).toEqual({ hook: hookOf(repository), change: 'installed' });
    expect(statSync(hookOf(repository)).mode & 0o777).toBe(0o755);
    expect(await installHook(repository.root, BUILT)).toMatchObject({ change: 'unchanged' });
    chmodSync(hookOf(repository), 0o644);
    expect(await installHook(repository.root, BUILT)).toMatchObject({ change: 'updated' });
    expect(await installHook(repository.root, { ...BUILT, node: '/other/node' })).toMatchObject({ change: 'updated' });
    expect(await uninstallHook(repository.root, { dryRun: true })).toMatchObject({ change: 'removed' });
    expect(existsSync(hookOf(repository))).toBe(true);
    expect(await uninstallHook(repository.root)).toMatchObject({ change: 'removed' });
    expect(await uninstallHook(repository.root)).toMatchObject({ change: 'absent' });
  });

  it.each([
    ["somebody else's hook", (file: string) => writeFileSync(file, '#!/bin/sh\nexit 0\n')],
    ['a link', (file: string) => symlinkSync('elsewhere', file)],
    ['a folder', (file: string) => mkdirSync(file)],
  ])('leaves %s as it is, and says what to add', async (_, make) => {
    const repository = weightsRepository();
    mkdirSync(path.dirname(hookOf(repository)), { recursive: true });
    make(hookOf(repository));
    const refusal = {
      code: 'usage',
      file: hookOf(repository),
      suggestions: expect.arrayContaining([expect.stringContaining('birdbone hash --check --staged')]),
    };
    await expect(installHook(repository.root, BUILT)).rejects.toMatchObject(refusal);
    await expect(uninstallHook(repository.root)).rejects.toMatchObject(refusal);
  });

  it('leaves our hook as it is once somebody has added a line', async () => {
    const repository = weightsRepository();
    await installHook(repository.root, BUILT);
    const text = `${readFileSync(hookOf(repository), 'utf8')}echo more\n`;
    writeFileSync(hookOf(repository), text);
    await expect(installHook(repository.root, BUILT)).rejects.toMatchObject({ code: 'usage' });
    await expect(uninstallHook(repository.root)).rejects.toMatchObject({ code: 'usage' });
    expect(readFileSync(hookOf(repository), 'utf8')).toBe(text);
  });

  it('goes where core.hooksPath says, without paths of this machine in a hook that is committed', async () => {
    const repository = weightsRepository();
    repository.git('config', 'core.hooksPath', 'tools/hooks');
    const { hook } = await installHook(repository.root, BUILT);
    expect(hook).toBe(path.join(repository.root, 'tools/hooks/pre-commit'));
    expect(readFileSync(hook, 'utf8')).not.toContain(process.execPath);
    const outside = temporaryFolder();
    repository.git('config', 'core.hooksPath', outside);
    await expect(installHook(repository.root, BUILT)).rejects.toMatchObject({
      code: 'usage',
      file: path.join(outside, 'pre-commit'),
    });
  });

  it('is refused where there is no git', async () => {
    await expect(installHook(temporaryFolder(), BUILT)).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('the hook', () => {
  it('refuses a commit of weights that are not recorded, and lets one pass whose are', async () => {
    const repository = weightsRepository();
    await installHook(repository.root, BUILT);
    repository.write({ 'sub dir/a.safetensors': A });
    repository.git('add', '--all');
    const refused = commit(repository.root);
    expect(refused.status).toBe(1);
    expect(refused.stdout + refused.stderr).toContain('sub dir/a.safetensors: not recorded');
    await repository.update();
    repository.git('add', '--all');
    expect(commit(repository.root).status).toBe(0);

    repository.write({ 'sub dir/a.safetensors': weights({ a: [1, 3] }) });
    // `commit -a`, and `commit <path>` from a folder below: git gives the hook another index than the usual one.
    for (const args of [['-a'], ['--', 'a.safetensors']]) {
      const again = commit(path.join(repository.root, 'sub dir'), {}, ...args);
      expect([again.status, again.stdout + again.stderr]).toEqual([1, expect.stringContaining('a  changed  F32 [2]')]);
    }
    await repository.update();
    expect(commit(repository.root, {}, '-a').status).toBe(0);
    expect(repository.git('status', '--porcelain')).toBe('');
  });

  it('works in a linked work tree', async () => {
    const repository = weightsRepository();
    repository.commit('first');
    const tree = path.join(temporaryFolder(), 'tree');
    repository.git('worktree', 'add', '--quiet', tree);
    expect((await installHook(tree, BUILT)).hook).toBe(hookOf(repository));
    writeFileSync(path.join(tree, 'a.bin'), 'x');
    execFileSync('git', ['add', '--all'], { cwd: tree });
    const { status, stdout, stderr } = commit(tree);
    expect([status, stdout + stderr]).toEqual([1, expect.stringContaining('a.bin: not recorded')]);
  });

  it('runs without node on the PATH, and refuses with a reason when neither it nor birdbone is found', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.bin': 'x' });
    await repository.update();
    repository.git('add', '--all');
    await installHook(repository.root, BUILT);
    const only = temporaryFolder();
    for (const program of ['git', 'sh']) {
      symlinkSync(execFileSync('which', [program], { encoding: 'utf8' }).trim(), path.join(only, program));
    }
    expect(commit(repository.root, { PATH: only }, '--allow-empty').status).toBe(0);
    await installHook(repository.root, { node: "/no 'such'/node", entry: '/none' });
    const { status, stderr } = commit(repository.root, { PATH: only }, '--allow-empty');
    expect([status, stderr]).toEqual([1, expect.stringContaining('birdbone hooks install')]);
    // A birdbone on the PATH is asked instead, and with the arguments of the check.
    writeFileSync(path.join(only, 'birdbone'), '#!/bin/sh\necho "$@"\nexit 1\n', { mode: 0o755 });
    const asked = commit(repository.root, { PATH: only }, '--allow-empty');
    expect([asked.status, asked.stdout + asked.stderr]).toEqual([1, expect.stringContaining('hash --check --staged')]);
  });
});
