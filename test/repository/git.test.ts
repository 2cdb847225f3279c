import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { git, gitOutput, gitRoot, gitStream } from '../../src/repository/index.js';

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'birdbone-git-')));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function repository(name: string, files: Record<string, string | Uint8Array> = { 'a.txt': name }): string {
  const root = path.join(folder, name);
  mkdirSync(root);
  const run = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@localhost', ...args], { cwd: root });
  run('init', '-q', '-b', 'main');
  for (const [file, content] of Object.entries(files)) writeFileSync(path.join(root, file), content);
  run('add', '.');
  run('commit', '-qm', 'one');
  return root;
}

it('says what git wrote and its exit status', async () => {
  const cwd = repository('one');
  expect(await git(['rev-parse', 'HEAD^{tree}'], { cwd })).toMatchObject({ code: 0, stderr: '' });
  const failed = await git(['rev-parse', '--verify', 'nothing'], { cwd });
  expect(failed.code).toBe(128);
  expect(failed.stderr).toContain('Needed a single revision');
  await expect(gitOutput(['cat-file', 'blob', 'nothing'], { cwd })).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringContaining('Not a valid object name nothing'),
  });
});

it('passes arguments and input to git as they are, without a shell', async () => {
  const cwd = repository('one', { 'a $(touch b); c.txt': 'x' });
  const listed = await gitOutput(['--literal-pathspecs', 'ls-files', '-z', '--', 'a $(touch b); c.txt'], { cwd });
  expect(listed.toString()).toBe('a $(touch b); c.txt\0');
  // sha1 of "blob 6\0hello\n", which every git book has.
  expect((await gitOutput(['hash-object', '--stdin'], { cwd, input: 'hello\n' })).toString()).toBe(
    'ce013625030ba8dba906f756967f9e9ca394464a\n',
  );
});

it('ends at once when git waits for input or asks for a password', async () => {
  const cwd = repository('one');
  expect((await gitOutput(['cat-file', '--batch-check'], { cwd })).length).toBe(0);
  const credential = await git(['-c', 'credential.helper=', 'credential', 'fill'], {
    cwd,
    input: 'protocol=https\nhost=localhost\n\n',
  });
  expect(credential.stderr).toContain('terminal prompts disabled');
});

it('refuses more output than is allowed', async () => {
  const cwd = repository('one', { big: new Uint8Array(100_000) });
  await expect(gitOutput(['cat-file', 'blob', 'HEAD:big'], { cwd, maxBytes: 99_999 })).rejects.toThrow(
    'more than the 99999 bytes',
  );
  expect(await gitOutput(['cat-file', 'blob', 'HEAD:big'], { cwd, maxBytes: 100_000 })).toHaveLength(100_000);
});

it('streams a blob, and throws when git fails', async () => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 2_654_435_761) >>> 24);
  const cwd = repository('one', { big: bytes });
  const pieces: Buffer[] = [];
  for await (const piece of gitStream(['cat-file', 'blob', 'HEAD:big'], { cwd })) pieces.push(piece);
  expect(pieces.length).toBeGreaterThan(1);
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  await expect(gitStream(['cat-file', 'blob', 'HEAD:none'], { cwd }).next()).rejects.toMatchObject({
    code: 'unreadable',
  });
  for await (const _ of gitStream(['cat-file', 'blob', 'HEAD:big'], { cwd })) break;
});

it('finds the top of the work tree, and none where there is none', async () => {
  const root = repository('with space and ü');
  mkdirSync(path.join(root, 'deep/er'), { recursive: true });
  expect(await gitRoot(path.join(root, 'deep/er'))).toBe(root);
  expect(await gitRoot(path.join(root, '.git'))).toBeUndefined();
  expect(await gitRoot(folder)).toBeUndefined();
});

it('says that git or the folder is missing', async () => {
  const missing = path.join(folder, 'missing');
  await expect(git(['version'], { cwd: missing })).rejects.toMatchObject({ code: 'unsupported', file: missing });
  const cwd = repository('one');
  vi.stubEnv('PATH', folder);
  await expect(gitRoot(cwd)).rejects.toMatchObject({ code: 'unsupported' });
});

it("reads the hook's own index in the hook's repository, from any of its folders", async () => {
  const root = repository('one');
  mkdirSync(path.join(root, 'sub'));
  writeFileSync(path.join(root, 'b.txt'), 'b');
  const index = path.join(root, '.git/next-index');
  execFileSync('git', ['add', 'b.txt'], { cwd: root, env: { ...process.env, GIT_INDEX_FILE: index } });
  vi.stubEnv('GIT_DIR', path.join(root, '.git'));
  vi.stubEnv('GIT_INDEX_FILE', index);
  vi.stubEnv('GIT_PREFIX', 'sub/');
  const staged = await gitOutput(['ls-files', '-z', '--full-name', ':/'], { cwd: path.join(root, 'sub') });
  expect(staged.toString()).toBe('b.txt\0');
  expect(await gitRoot(path.join(root, 'sub'))).toBe(root);
});

it("takes none of a hook's variables to another repository", async () => {
  const [hook, other] = [repository('hook'), repository('other', { 'o.txt': 'o' })];
  vi.stubEnv('GIT_DIR', path.join(hook, '.git'));
  vi.stubEnv('GIT_INDEX_FILE', path.join(hook, '.git/index'));
  vi.stubEnv('GIT_WORK_TREE', hook);
  expect((await gitOutput(['ls-files', '-z'], { cwd: other })).toString()).toBe('o.txt\0');
  expect(await gitRoot(other)).toBe(other);
});

it('follows the variables where a folder lies in no repository of its own', async () => {
  const root = repository('one');
  const tree = path.join(folder, 'tree');
  mkdirSync(tree);
  vi.stubEnv('GIT_DIR', path.join(root, '.git'));
  vi.stubEnv('GIT_WORK_TREE', tree);
  expect(await gitRoot(tree)).toBe(tree);
});

it('ends git when it is interrupted', async () => {
  const cwd = repository('one');
  const running = git(['-c', 'alias.wait=!sleep 30', 'wait'], { cwd, signal: AbortSignal.timeout(100) });
  await expect(running).rejects.toMatchObject({ code: 'interrupted' });
});
