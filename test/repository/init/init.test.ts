import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { initRepository } from '../../../src/repository/index.js';
import { GIT_ENVIRONMENT, type GitRepository, makeGitRepository } from '../../fixtures/git-repository.js';
import { contentsOf } from '../../fixtures/workplace.js';

const OPTIONS = { spec: 'birdbone@0.1.0' };
const FILES = [
  '.gitattributes',
  '.gitignore',
  '.pre-commit-config.yaml',
  'configs/README.md',
  'models/README.md',
  'diffs/README.md',
  '.github/workflows/weights.yml',
];

const elsewhere: string[] = [];
let repository: GitRepository;

beforeEach(() => {
  Object.assign(process.env, GIT_ENVIRONMENT);
  repository = makeGitRepository();
});

afterEach(() => {
  repository.remove();
  for (const folder of elsewhere.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function emptyFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-init-'));
  elsewhere.push(folder);
  return folder;
}

function init(options = {}) {
  return initRepository(repository.root, { ...OPTIONS, ...options });
}

describe('initRepository', () => {
  it('sets up an empty repository, and a second time changes nothing', async () => {
    const first = await init();
    expect(first.changes.map(({ path: name, action }) => [name, action])).toEqual(
      FILES.map((name) => [name, 'create']),
    );
    expect(first).toMatchObject({ root: repository.root, written: true, kept: [], conflicts: [], committed: [] });
    const before = contentsOf(repository.root);
    const second = await init();
    expect(second).toMatchObject({ changes: [], kept: FILES, conflicts: [] });
    expect(contentsOf(repository.root)).toEqual(before);
  });

  it('writes nothing in a dry run, whose diff git applies to the same end', async () => {
    repository.write({
      '.gitattributes': '* text=auto\r\n*.png binary\r\n# fixtures\r\ntest/*.bin -filter\r\n',
      '.gitignore': 'node_modules/',
      '.pre-commit-config.yaml': 'repos:\n- repo: local\n  hooks:\n  - id: a\n    name: caf\u00e9\nfail_fast: true\n',
      'models/README.md': 'mine\n',
    });
    const before = contentsOf(repository.root);
    const planned = await init({ dryRun: true });
    expect(contentsOf(repository.root)).toEqual(before);
    expect(planned.kept).toEqual(['models/README.md']);

    const other = makeGitRepository();
    elsewhere.push(other.root);
    other.write(
      Object.fromEntries(
        ['.gitattributes', '.gitignore', '.pre-commit-config.yaml'].map((name) => [name, repository.read(name)]),
      ),
    );
    other.write({ '../all.diff': planned.changes.map(({ diff }) => diff).join('') });
    other.git('apply', '--whitespace=nowarn', '../all.diff');
    rmSync(path.join(other.root, '../all.diff'));

    const done = await init();
    expect({ ...done, written: false, next: [] }).toEqual({ ...planned, next: [] });
    for (const { path: name } of done.changes) expect(other.read(name), name).toBe(repository.read(name));
  });

  it('counts the lines that come in, and keeps the mode of a file', async () => {
    repository.write({ '.gitignore': 'a\n' });
    chmodSync(path.join(repository.root, '.gitignore'), 0o640);
    const { changes } = await init();
    const lines = repository.read('.gitignore').split('\n').length - 'a\n'.split('\n').length;
    expect(changes[1]).toMatchObject({ path: '.gitignore', action: 'add', addedLines: lines });
    expect(statSync(path.join(repository.root, '.gitignore')).mode & 0o777).toBe(0o640);
  });

  it('sets up the whole repository from a folder within', async () => {
    repository.write({ 'deep/er/file.txt': '' });
    const { root } = await initRepository(path.join(repository.root, 'deep/er'), OPTIONS);
    expect(root).toBe(repository.root);
    expect(statSync(path.join(repository.root, '.gitattributes')).isFile()).toBe(true);
  });

  it('refuses a folder without a repository, unless told to make one', async () => {
    const folder = emptyFolder();
    await expect(initRepository(folder, OPTIONS)).rejects.toMatchObject({
      code: 'usage',
      suggestions: ['birdbone init --git, which makes one', 'git init, then the same command again'],
    });
    const planned = await initRepository(folder, { ...OPTIONS, git: true, dryRun: true });
    expect(planned).toMatchObject({ repository: 'created', written: false });
    expect(contentsOf(folder)).toEqual({});
    expect(await initRepository(folder, { ...OPTIONS, git: true })).toMatchObject({
      repository: 'created',
      written: true,
    });
    expect(statSync(path.join(folder, '.git')).isDirectory()).toBe(true);
    expect(await initRepository(folder, { ...OPTIONS, git: true })).toMatchObject({ repository: 'found', changes: [] });
  });

  it.each(['nowhere', 'file'])('refuses what is no folder: %s', async (name) => {
    repository.write({ file: '' });
    await expect(initRepository(path.join(repository.root, name), OPTIONS)).rejects.toMatchObject({ code: 'usage' });
  });

  it('makes no repository within git itself', async () => {
    const bare = path.join(emptyFolder(), 'bare.git');
    repository.git('init', '--quiet', '--bare', bare);
    for (const folder of [bare, path.join(repository.root, '.git'), path.join(repository.root, '.git/refs')]) {
      const before = contentsOf(folder);
      await expect(initRepository(folder, { ...OPTIONS, git: true }), folder).rejects.toMatchObject({ code: 'usage' });
      expect(contentsOf(folder)).toEqual(before);
    }
  });

  it('goes round links and folders in the place of its files, and says so', async () => {
    const outside = emptyFolder();
    symlinkSync(outside, path.join(repository.root, 'models'));
    symlinkSync('/etc/hostname', path.join(repository.root, '.gitignore'));
    mkdirSync(path.join(repository.root, '.gitattributes'));
    repository.write({ diffs: 'a file\n', '.pre-commit-config.yaml': Buffer.from('\ufeffrepos:\n', 'utf16le') });
    const { changes, conflicts } = await init();
    expect(changes.map(({ path: name }) => name)).toEqual(['configs/README.md', '.github/workflows/weights.yml']);
    expect(conflicts.map(({ file, what }) => [file, /is [^,]*/.exec(what)?.[0]])).toEqual([
      ['.gitattributes', 'is no file'],
      ['.gitignore', 'is a symbolic link'],
      ['.pre-commit-config.yaml', 'is UTF-16 or binary'],
      ['models/README.md', 'is a symbolic link'],
      ['diffs/README.md', 'is no folder'],
    ]);
    expect(contentsOf(outside)).toEqual({});
    expect(repository.read('diffs')).toBe('a file\n');
  });

  it('reports what keeps weights out of git', async () => {
    repository.write({ '.gitignore': '*.pt\nmodels/\n' });
    const { conflicts } = await init();
    expect(conflicts.map(({ file, line, what }) => [file, line, what])).toEqual([
      ['.gitignore', 2, '"models/" keeps files such as models/README.md out of git'],
    ]);
  });

  it('lists weights whose bytes are in git, and leaves out pointers, links and what a rule exempts', async () => {
    repository.write({
      '.gitattributes': 'test/*.bin -filter\n',
      'models/a.pt': 'a'.repeat(3000),
      'models/b b.safetensors': 'b'.repeat(5000),
      'test/c.bin': 'c',
      'models/pointer.pt': `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`,
      'models/empty.pt': '',
      'notes.txt': 'no weights',
    });
    symlinkSync('a.pt', path.join(repository.root, 'models/link.pt'));
    repository.commit('all');
    const { committed, next } = await init();
    expect(committed).toEqual([
      { path: 'models/b b.safetensors', bytes: 5000, exempt: false },
      { path: 'models/a.pt', bytes: 3000, exempt: false },
      { path: 'test/c.bin', bytes: 1, exempt: true },
    ]);
    expect(next).toContain('birdbone init --plan-lfs');
  });

  it('writes a workflow that installs what it is told to, and nothing that a shell would run', async () => {
    await initRepository(repository.root, { spec: 'github:owner/birdbone#0123abc' });
    const workflow = parse(repository.read('.github/workflows/weights.yml'));
    const steps = workflow.jobs.weights.steps as { uses?: string; run?: string; with?: object }[];
    expect(steps.map(({ uses, run }) => run ?? uses?.replace(/@.*/, ''))).toEqual([
      'actions/checkout',
      'actions/setup-node',
      'npm install --global "github:owner/birdbone#0123abc"',
      'birdbone hash --check',
      expect.stringMatching(/^git ls-files .* \| xargs -0 -r birdbone scan$/),
    ]);
    expect(steps[0]?.with).toMatchObject({ lfs: true });
    for (const spec of ['a"; rm -rf /', '$(x)', '`x`', '-g', '', 'a b', 'a\nb']) {
      await expect(init({ spec }), spec).rejects.toMatchObject({ code: 'usage' });
    }
  });
});
