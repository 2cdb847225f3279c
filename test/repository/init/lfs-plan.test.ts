import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planLfs } from '../../../src/repository/index.js';
import {
  GIT_ENVIRONMENT,
  type GitRepository,
  makeGitRepository,
  programMissing,
} from '../../fixtures/git-repository.js';
import { uniform } from '../../reference/tiny-model.js';

const lfsMissing = programMissing('git', 'lfs', 'version');
const beside: string[] = [];
let repository: GitRepository;

beforeEach(() => {
  Object.assign(process.env, GIT_ENVIRONMENT);
  repository = makeGitRepository();
});

afterEach(() => {
  repository.remove();
  for (const folder of beside.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Bytes that do not compress, so that sizes on disk tell. */
function weights(bytes: number, seed: number): Buffer {
  const random = uniform(seed);
  return Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)));
}

const A1 = weights(200_000, 1);
const A2 = weights(150_000, 2);
const B = weights(100_000, 3);
const MERGED = weights(50_000, 4);

/**
 * main: a.pt in two versions, a copy of the first under another name; side: `b b.bin`; a merge with a content of its own; a
 * fixture that a rule keeps in git; a tag, a remote.
 */
function history(): void {
  const { write, commit, git } = repository;
  write({ 'models/a.pt': A1, 'models/copy.safetensors': A1, 'readme.md': 'text\n', 'test/c.bin': 'tiny' });
  write({ '.gitattributes': 'test/*.bin -filter\n' });
  commit('one');
  git('tag', '-a', 'v1', '-m', 'one');
  git('switch', '--quiet', '--create', 'side');
  write({ 'deep/b b.bin': B, 'models/a.pt': A2 });
  commit('side');
  git('switch', '--quiet', 'main');
  write({ 'models/a.pt': weights(1000, 9) });
  commit('main');
  try {
    git('merge', '--quiet', 'side');
  } catch {
    // The conflict that this is about.
  }
  write({ 'models/a.pt': MERGED });
  commit('merge');
  git(
    'branch',
    'text-only',
    git('commit-tree', '-m', 'none', git('hash-object', '-t', 'tree', '-w', '/dev/null').trim()).trim(),
  );
}

describe('planLfs', () => {
  it('finds nothing to do where there is nothing', async () => {
    for (const files of [{}, { 'a.txt': 'text' }, { 'empty.pt': '' }]) {
      repository.write(files);
      repository.commit('next');
      expect(await planLfs(repository.root)).toMatchObject({
        patterns: [],
        steps: [],
        obstacles: [],
        total: { bytes: 0 },
      });
    }
  });

  it('works in a repository without a commit', async () => {
    expect(await planLfs(repository.root)).toMatchObject({ patterns: [], steps: [] });
  });

  it('adds up every version in the history, of merges and side branches too, and each content once', async () => {
    history();
    const plan = await planLfs(repository.root);
    const all = A1.length + A2.length + B.length + MERGED.length + 1000;
    expect(plan.total).toMatchObject({ versions: 5, bytes: all });
    expect(plan.patterns.map(({ pattern, files, versions, bytes }) => [pattern, files, versions, bytes])).toEqual([
      ['*.pt', 1, 4, all - B.length],
      ['*.safetensors', 1, 1, A1.length],
      ['*.bin', 1, 1, B.length],
    ]);
    expect(plan.paths.map(({ path: name, versions }) => [name, versions])).toEqual([
      ['models/a.pt', 4],
      ['models/copy.safetensors', 1],
      ['deep/b b.bin', 1],
    ]);
    expect(plan.exempt).toEqual(['test/c.bin']);
  });

  it('names the refs that are rewritten, and those that stay', async () => {
    history();
    const { git, root } = repository;
    git('update-ref', 'refs/remotes/origin/main', 'main');
    git('config', 'remote.origin.url', 'https://ada:secret@example.org/weights.git');
    repository.write({ 'models/a.pt': weights(10, 5) });
    git('stash', '--quiet');
    const { refs, remotes } = await planLfs(root);
    expect(refs).toEqual({
      rewritten: ['refs/heads/main', 'refs/heads/side', 'refs/tags/v1'],
      remote: ['refs/remotes/origin/main'],
      untouched: ['refs/stash'],
    });
    expect(remotes).toEqual([{ name: 'origin', url: 'https://example.org/weights.git' }]);
  });

  it('names what has to be settled first', async () => {
    history();
    const of = async (root: string) => (await planLfs(root)).obstacles.map(({ what }) => what.split(/[,:]/)[0]);
    const clean = lfsMissing === undefined ? [] : ['git-lfs is not installed'];
    expect(await of(repository.root)).toEqual(clean);
    repository.write({ 'readme.md': 'changed\n', 'untracked.txt': '' });
    expect(await of(repository.root)).toEqual([...clean, 'the working tree has changes or untracked files']);
    repository.git('stash', '--quiet', '--include-untracked');
    repository.git('worktree', 'add', '--quiet', `${repository.root}-tree`, 'side');
    beside.push(`${repository.root}-tree`);
    expect(await of(repository.root)).toEqual([
      ...clean,
      'there are stashes',
      'other work trees are checked out from this repository',
    ]);
    beside.push(`${repository.root}-shallow`);
    repository.git('clone', '--quiet', '--depth=1', `file://${repository.root}`, `${repository.root}-shallow`);
    expect(await of(`${repository.root}-shallow`)).toEqual([...clean, 'this clone is shallow']);
  });

  it('quotes names for the shell, and names those that git-lfs cannot take', async () => {
    repository.write({
      '.gitattributes': '*.zip -filter\n/root.bin -filter\ntest/* -filter\n',
      'a.bin': 'x',
      'root.bin': 'x',
      'unused.zip': 'x',
      "test/it's $HOME.bin": 'x',
    });
    repository.commit('names');
    const plan = await planLfs(repository.root);
    const [, command = ''] = plan.steps[1]?.commands ?? [];
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(words.slice(5)).toEqual(['--include=*.bin', "--exclude=/root.bin,test/it's $HOME.bin"]);
    expect(plan.exempt).toHaveLength(3);
    repository.write({ 'line\nbreak.bin': 'y', 'test/a,b.bin': 'z' });
    repository.commit('worse names');
    const { obstacles } = await planLfs(repository.root);
    expect(obstacles.map(({ fix }) => fix).slice(-2)).toEqual(['Rename that file first.', 'Rename that file first.']);
  });

  const title = 'prints commands that do what it says, and that undo it';
  it.skipIf(lfsMissing !== undefined)(
    lfsMissing === undefined ? title : `${title} (skipped: ${lfsMissing})`,
    async () => {
      history();
      const remote = `${repository.root}-remote.git`;
      beside.push(remote, `${repository.root}-before-lfs.git`);
      repository.git('clone', '--quiet', '--bare', '.', remote);
      repository.git('remote', 'add', 'origin', remote);
      repository.git('fetch', '--quiet', 'origin');
      repository.git('gc', '--quiet');
      const refsBefore = repository.git('for-each-ref');
      const contents = () => ['main', 'side', 'v1'].map((ref) => contentsAt(ref));
      const before = contents();

      const plan = await planLfs(repository.root);
      const [backup, migrate, check, free, publish, undo] = plan.steps;
      run(backup?.commands);
      run(migrate?.commands);
      expect(run(check?.commands)).toContain('nothing to commit, working tree clean');
      expect(contents()).toEqual(before);

      const files = repository.git('lfs', 'ls-files', '--all', '--name-only').split('\n').filter(Boolean);
      expect(new Set(files)).toEqual(new Set(plan.paths.map(({ path: name }) => name)));
      expect(repository.git('cat-file', 'blob', 'main:test/c.bin')).toBe('tiny');
      expect(repository.git('cat-file', 'blob', 'main:models/a.pt')).toBe(pointer(MERGED));
      expect(plan.pointerBytes).toBe(
        [A1, A2, B, MERGED, weights(1000, 9)].reduce((sum, each) => sum + pointer(each).length, 0),
      );

      run(publish?.commands);
      run(free?.commands);
      const after = Number(/^size-pack: (\d+)$/m.exec(repository.git('count-objects', '-v'))?.[1]) * 1024;
      expect(plan.repositoryBytes.before).toBeGreaterThan(500_000);
      expect(Math.abs(after - plan.repositoryBytes.after)).toBeLessThan(20_000);
      expect(await planLfs(repository.root)).toMatchObject({ patterns: [], steps: [] });

      run(undo?.commands);
      const heads = (refs: string) => refs.split('\n').filter((line) => !line.includes('refs/remotes'));
      expect(heads(repository.git('for-each-ref'))).toEqual(heads(refsBefore));
      expect(readFileSync(path.join(repository.root, 'models/a.pt')).equals(MERGED)).toBe(true);
      expect(contents()).toEqual(before);
    },
  );
});

function run(commands: readonly string[] = []): string {
  const env = { ...process.env, LC_ALL: 'C' };
  return commands
    .map((command) =>
      execFileSync('sh', ['-euc', command], { cwd: repository.root, env, encoding: 'utf8', stdio: 'pipe' }),
    )
    .join('');
}

/** What a checkout of a ref has in its working tree, by digest. */
function contentsAt(ref: string): Record<string, string> {
  repository.git('checkout', '--quiet', '--force', ref);
  const names = repository
    .git('ls-files', '-z')
    .split('\0')
    .filter((name) => name !== '' && name !== '.gitattributes');
  const digest = (name: string) =>
    createHash('sha256')
      .update(readFileSync(path.join(repository.root, name)))
      .digest('hex');
  const contents = Object.fromEntries(names.map((name) => [name, digest(name)]));
  repository.git('checkout', '--quiet', '--force', 'main');
  return contents;
}

function pointer(content: Uint8Array): string {
  const oid = createHash('sha256').update(content).digest('hex');
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
}
