import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memorySource } from '../../src/checkpoint/index.js';
import { folderMd5 } from '../../src/repository/dvc-folder.js';
import { dvcHash } from '../../src/repository/dvc-hash.js';
import { checkDvcPointers, checkWeightHashes } from '../../src/repository/index.js';
import { GIT_ENVIRONMENT, type GitRepository, makeGitRepository } from '../fixtures/git-repository.js';

let repository: GitRepository;

beforeEach(() => {
  Object.assign(process.env, GIT_ENVIRONMENT);
  repository = makeGitRepository();
  mkdirSync(path.join(repository.root, '.dvc'));
});
afterEach(() => repository.remove());

const md5 = (content: string | Uint8Array): string => createHash('md5').update(content).digest('hex');

/** What `dvc add` of DVC 3 writes for a file. */
function pointerTo(name: string, content: string | Uint8Array): string {
  return `outs:\n- md5: ${md5(content)}\n  size: ${content.length}\n  hash: md5\n  path: ${name}\n`;
}

/** Puts a content where DVC 3 keeps it. */
function intoCache(name: string, content: string | Uint8Array, cache = '.dvc/cache'): void {
  repository.write({ [`${cache}/files/md5/${name.slice(0, 2)}/${name.slice(2)}`]: content });
}

async function statuses(): Promise<string[]> {
  return (await checkDvcPointers(repository.root)).map(({ path: name, status, where }) =>
    [name, status, where].join(' ').trim(),
  );
}

// The expected digests of this block are from Python 3.11: hashlib, json, and dvc-data's two functions typed in.
describe("DVC's hashes", () => {
  it('of a folder are of the listing that Python writes', () => {
    const files = [
      ['a.bin', 'e2c865db4162bed963bfaa9ef6ac18f0'],
      ['sub/b.txt', '4e03dd5f05f68ca4f8941fd80c63e0b2'],
      ['sub/\u00e9\u4e2d.pt', '336311a016184326ddbdd61edd4eeb52'],
      ['z\u{1f600}.bin', '441077cc9e57554dd476bdfb8b8b8102'],
      ['sub/\uffee.bin', '7694f4a66316e53c8cdd9d9954bd611d'],
      ['q"uote\\.bin', 'd41d8cd98f00b204e9800998ecf8427e'],
      ['tab\there.bin', 'e358efa489f58062f10dd7316b65649e'],
      ['del\u007f.bin', '8277e0910d750195b448797616e091ad'],
    ].map(([relpath = '', digest = '']) => ({ relpath, md5: digest }));
    expect(folderMd5(files)).toBe('6e1a500c493660008d2fa9440bb80cf0');
    expect(folderMd5(files.toReversed())).toBe('6e1a500c493660008d2fa9440bb80cf0');
    expect(folderMd5([])).toBe('d751713988987e9331980363e24189ce');
  });

  it.each([
    [
      'a text with CRLF',
      Buffer.from('one\r\ntwo\r\n'),
      '4e03dd5f05f68ca4f8941fd80c63e0b2',
      '2094b601daac3d68f5aed51d3c20f7cd',
    ],
    [
      'bytes with a NUL',
      Buffer.from('\0one\r\n'),
      '78d564e59b46d706c0f6660eadf2f3eb',
      '78d564e59b46d706c0f6660eadf2f3eb',
    ],
    [
      '30 % of other bytes',
      Buffer.from('\xff\xff\xffa\r\nbcde', 'latin1'),
      'c65ef7a81850a30cb62771e6d4895c03',
      '64726940fb50edbda810e27f6e00b3b0',
    ],
    [
      '31 % of other bytes',
      Buffer.from(`${'\xff'.repeat(31)}${'a'.repeat(67)}\r\n`, 'latin1'),
      'c4c2c4f44c83986feab9e2656c9dd694',
      'c4c2c4f44c83986feab9e2656c9dd694',
    ],
    [
      'lone carriage returns',
      Buffer.from('a\rb\r\r\nc\r'),
      'b6cb5100c915436e8a83f0803a7f34af',
      'e374a4cdc1946f531a594e59dc48087b',
    ],
    [
      'CRLF across two pieces',
      Buffer.from(`${'a'.repeat(2 ** 20 - 1)}\r\nb`),
      '8c5619e93d78797e95a4233d0df49978',
      '8c5619e93d78797e95a4233d0df49978',
    ],
    [
      'a NUL behind the head',
      Buffer.from(`${'a\r\n'.repeat(200)}\0`),
      '5b1f4b373d765e55c7a6ddb05335c3a7',
      'ec0738b4dff7af00fb04b7c5e6385822',
    ],
    ['nothing', Buffer.alloc(0), 'd41d8cd98f00b204e9800998ecf8427e', 'd41d8cd98f00b204e9800998ecf8427e'],
  ])('of %s', async (_what, content, plain, unix) => {
    const source = memorySource('memory', content);
    expect([await dvcHash(source, 'md5'), await dvcHash(source, 'md5-dos2unix')]).toEqual([plain, unix]);
  });
});

describe('checkDvcPointers', () => {
  it('finds nothing where there is no .dvc file', async () => {
    repository.write({ '.dvc/config': '', '.dvc/tmp/x.dvc': 'not one', 'models/readme.txt': '' });
    expect(await checkDvcPointers(repository.root)).toEqual([]);
  });

  it('compares files with their pointers, tracked or new, and says what to do', async () => {
    repository.write({
      'models/.gitignore': '/a.pt\n/b.pt\n/c.pt\n',
      'models/a.pt': 'weights',
      'models/a.pt.dvc': pointerTo('a.pt', 'weights'),
      'models/b.pt': 'WEIGHTS',
      'models/b.pt.dvc': pointerTo('b.pt', 'weights'),
      'models/c.pt.dvc': pointerTo('c.pt', 'weights'),
      'd.pt': 'longer than recorded',
      'd.pt.dvc': pointerTo('d.pt', 'weights'),
    });
    repository.commit('pointers');
    repository.write({ 'new.pt.dvc': pointerTo('new.pt', ''), 'new.pt': '' });
    const events: unknown[] = [];
    expect(await checkDvcPointers(repository.root, { report: (event) => events.push(event) })).toEqual([
      {
        pointer: 'd.pt.dvc',
        path: 'd.pt',
        status: 'differs',
        where: 'working-tree',
        expected: md5('weights'),
        what: 'd.pt has 20 bytes, where 7 are recorded: dvc add d.pt if that was meant, else dvc checkout d.pt',
      },
      expect.objectContaining({ path: 'models/a.pt', status: 'matches', where: 'working-tree', found: md5('weights') }),
      expect.objectContaining({
        path: 'models/b.pt',
        status: 'differs',
        found: md5('WEIGHTS'),
        expected: md5('weights'),
      }),
      expect.objectContaining({ path: 'models/c.pt', status: 'absent', expected: md5('weights') }),
      expect.objectContaining({ path: 'new.pt', status: 'matches' }),
    ]);
    expect(events).toHaveLength(5);
    const paths = async (...names: string[]) =>
      (await checkDvcPointers(repository.root, { paths: names })).map(({ pointer }) => pointer);
    expect(await paths('models')).toEqual(['models/a.pt.dvc', 'models/b.pt.dvc', 'models/c.pt.dvc']);
    expect(await paths('models/b.pt.dvc', 'new.pt.dvc')).toEqual(['models/b.pt.dvc', 'new.pt.dvc']);
    rmSync(path.join(repository.root, 'models/c.pt.dvc'));
    expect(await paths('models')).toEqual(['models/a.pt.dvc', 'models/b.pt.dvc']);
  });

  it('checks what the next commit changes, as it is in the index', async () => {
    repository.write({
      'a.pt.dvc': pointerTo('a.pt', 'one'),
      'b.pt.dvc': pointerTo('b.pt', 'one'),
      'a.pt': 'two',
      'b.pt': 'x',
    });
    repository.write({ '.gitignore': '*.pt\n' });
    repository.commit('pointers');
    const staged = async () =>
      (await checkDvcPointers(repository.root, { staged: true })).map(({ path: name, status }) => [name, status]);
    expect(await staged()).toEqual([]);
    repository.write({ 'a.pt.dvc': pointerTo('a.pt', 'two') });
    repository.git('add', 'a.pt.dvc');
    repository.write({ 'a.pt.dvc': 'not what is staged' });
    expect(await staged()).toEqual([['a.pt', 'matches']]);
    repository.write({ 'a.pt': 'TWO' });
    expect(await staged()).toEqual([['a.pt', 'differs']]);
    repository.git('rm', '--quiet', '--force', 'a.pt.dvc');
    expect(await staged()).toEqual([]);
  });

  it('is a part of checkWeightHashes', async () => {
    repository.write({ 'a.pt.dvc': pointerTo('a.pt', 'weights'), 'a.pt': 'weights', '.gitignore': '*.pt\n' });
    const check = async (...paths: string[]) => checkWeightHashes({ root: repository.root, isGit: true, paths });
    expect(await check()).toMatchObject({ matches: true, files: 0, dvc: [{ path: 'a.pt', status: 'matches' }] });
    for (const name of ['a.pt.dvc', 'a.pt']) {
      expect(await check(name)).toMatchObject({ matches: true, dvc: [{ status: 'matches' }] });
    }
    repository.write({ 'a.pt': 'WEIGHTS' });
    expect(await check()).toMatchObject({ matches: false, findings: [], dvc: [{ status: 'differs' }] });
    rmSync(path.join(repository.root, 'a.pt'));
    expect(await check()).toMatchObject({ matches: true, dvc: [{ status: 'absent' }] });
    repository.write({ 'a.pt.dvc': 'outs: [' });
    expect(await check()).toMatchObject({ matches: false, dvc: [{ status: 'unreadable' }] });
  });

  it('looks into the cache for what is not checked out, and finds damage there', async () => {
    repository.write({ 'a.pt.dvc': pointerTo('a.pt', 'weights') });
    intoCache(md5('weights'), 'weights');
    expect(await statuses()).toEqual(['a.pt matches cache']);
    intoCache(md5('weights'), 'weighty');
    expect(await statuses()).toEqual(['a.pt differs cache']);
  });

  it.each([
    ['config', '[core]\n    remote = s\n[cache]\n    dir = ../store\n', '.dvc'],
    ['config.local', '[\'remote "cache"\']\n    dir = /nowhere\n[cache]\ndir=../store\n', '.dvc'],
    ['config', '[cache]\n    dir = ../../store\n', 'sub/.dvc'],
  ])('finds a cache that %s moves', async (name, config, project) => {
    const folder = path.posix.dirname(project);
    repository.write({ [`${project}/${name}`]: config, [`${folder}/deep/a.pt.dvc`]: pointerTo('a.pt', 'weights') });
    intoCache(md5('weights'), 'weights', 'store');
    expect(await statuses()).toEqual([`${path.posix.join(folder, 'deep/a.pt')} matches cache`]);
  });

  it('goes by DVC 2 where no hash is named', async () => {
    const text = 'one\r\ntwo\r\n';
    const unix = md5(text.replaceAll('\r\n', '\n'));
    repository.write({
      'vocab.txt.dvc': `outs:\n- md5: ${unix}\n  size: ${text.length}\n  path: vocab.txt\n`,
      'vocab.txt': text,
    });
    expect(await statuses()).toEqual(['vocab.txt matches working-tree']);
    rmSync(path.join(repository.root, 'vocab.txt'));
    repository.write({ [`.dvc/cache/${unix.slice(0, 2)}/${unix.slice(2)}`]: text });
    expect(await statuses()).toEqual(['vocab.txt matches cache']);
    repository.write({ 'vocab.txt.dvc': `outs:\n- md5: ${unix}\n  hash: md5\n  path: vocab.txt\n`, 'vocab.txt': text });
    expect(await statuses()).toEqual(['vocab.txt differs working-tree']);
  });

  describe('of a folder', () => {
    const FILES = { 'config.json': '{}', 'shards/1.safetensors': 'one', 'shards/2.safetensors': 'two' };
    const listing = `[${Object.entries(FILES)
      .map(([relpath, content]) => `{"md5": "${md5(content)}", "relpath": "${relpath}"}`)
      .join(', ')}]`;
    const digest = `${md5(listing)}.dir`;
    const pointer = `outs:\n- md5: ${digest}\n  size: 8\n  nfiles: 3\n  hash: md5\n  path: llama\n`;

    beforeEach(() => {
      repository.write({ 'models/llama.dvc': pointer });
      repository.write(Object.fromEntries(Object.entries(FILES).map(([name, text]) => [`models/llama/${name}`, text])));
    });

    it('matches by the listing of its files', async () => {
      repository.write({ 'models/llama/.git/ignored': '', 'elsewhere/x': '' });
      symlinkSync('../../elsewhere', path.join(repository.root, 'models/llama/link'));
      expect(await checkDvcPointers(repository.root)).toMatchObject([
        { path: 'models/llama', status: 'matches', found: digest },
      ]);
    });

    it('names what changed where the cache has the listing', async () => {
      repository.write({ 'models/llama/shards/1.safetensors': 'ONE', 'models/llama/new.txt': '' });
      rmSync(path.join(repository.root, 'models/llama/config.json'));
      const [without] = await checkDvcPointers(repository.root);
      expect(without).toMatchObject({ status: 'differs', expected: digest });
      expect(without?.files).toBeUndefined();
      intoCache(digest, listing);
      const [found] = await checkDvcPointers(repository.root);
      expect(found?.files).toEqual({ changed: ['shards/1.safetensors'], added: ['new.txt'], removed: ['config.json'] });
      expect(found?.what).toContain('(shards/1.safetensors, new.txt, config.json …)');
    });

    it('is checked in the cache, listing and files, where it is not checked out', async () => {
      rmSync(path.join(repository.root, 'models/llama'), { recursive: true });
      expect(await statuses()).toEqual(['models/llama absent']);
      intoCache(digest, listing);
      expect(await statuses()).toEqual(['models/llama absent']);
      for (const content of Object.values(FILES)) intoCache(md5(content), content);
      expect(await statuses()).toEqual(['models/llama matches cache']);
      intoCache(md5('two'), 'TWO');
      expect(await statuses()).toEqual(['models/llama differs cache']);
    });

    it('is told from a file', async () => {
      rmSync(path.join(repository.root, 'models/llama'), { recursive: true });
      repository.write({ 'models/llama': 'a file' });
      expect(await statuses()).toEqual(['models/llama differs working-tree']);
      rmSync(path.join(repository.root, 'models/llama'));
      repository.write({ 'models/llama/x': '', 'models/llama.dvc': pointerTo('llama', '') });
      expect(await statuses()).toEqual(['models/llama differs working-tree']);
    });
  });

  it('leaves alone what is outside of the repository, and what has no md5', async () => {
    const outs = ['s3://bucket/a.pt', '/etc/hostname', '../../etc/hostname', 'C:\\a.pt'].map(
      (name) => `- md5: ${md5('')}\n  path: ${name}\n`,
    );
    repository.write({
      'a.dvc': `outs:\n${outs.join('')}- path: later.pt\n`,
      'wdir.dvc': `wdir: ../..\nouts:\n- {md5: ${md5('')}, path: x}\n`,
    });
    const findings = await checkDvcPointers(repository.root);
    expect(findings.map(({ status }) => status)).toEqual(Array(6).fill('unchecked'));
  });

  it('goes by wdir, and through the links that DVC makes into its cache', async () => {
    const cached = path.join(
      repository.root,
      '.dvc/cache/files/md5',
      md5('weights').slice(0, 2),
      md5('weights').slice(2),
    );
    intoCache(md5('weights'), 'weights');
    repository.write({ 'dvc/a.dvc': `wdir: ../models\n${pointerTo('a.pt', 'weights')}`, 'models/x': '' });
    symlinkSync(cached, path.join(repository.root, 'models/a.pt'));
    expect(await statuses()).toEqual(['models/a.pt matches working-tree']);
  });

  it.each([
    ['no YAML', 'outs: [', 'not YAML that birdbone reads'],
    ['a list', '- a\n', 'is no .dvc file: it'],
    ['no outs', 'outs: []\n', 'is no .dvc file: outs'],
    ['a wrong md5', 'outs:\n- {md5: ../../etc, path: a}\n', 'outs.0.md5'],
    ['a NUL in a path', 'outs:\n- {path: "a\\0b"}\n', 'outs.0.path'],
    ['a negative size', 'outs:\n- {path: a, size: -1}\n', 'outs.0.size'],
    [
      'a bomb of aliases',
      `a: &a [${'x,'.repeat(99)}]\nb: &b [${'*a,'.repeat(99)}]\nc: [${'*b,'.repeat(99)}]\n`,
      'alias',
    ],
    ['brackets without end', '['.repeat(30_000), 'brackets within each other'],
    ['blocks without end', '- '.repeat(15_000), 'starts at column'],
    ['too many bytes', `# ${'x'.repeat(40_000)}`, 'bytes'],
    ['anchors without end', '&a '.repeat(10_000), 'anchor'],
    ['aliases without end', '*a '.repeat(10_000), 'alias'],
  ])('reads no more than it must of %s, and goes on', async (_what, text, problem) => {
    repository.write({ 'bad.dvc': text, 'good.pt.dvc': pointerTo('good.pt', 'x'), 'good.pt': 'x' });
    // Of this process: what a busy machine does meanwhile does not count.
    const [began, rss] = [process.cpuUsage(), process.memoryUsage.rss()];
    const [bad, good] = await checkDvcPointers(repository.root);
    const { user, system } = process.cpuUsage(began);
    expect((user + system) / 1e6).toBeLessThan(1);
    expect(process.memoryUsage.rss() - rss).toBeLessThan(64e6);
    expect(bad).toMatchObject({ pointer: 'bad.dvc', path: 'bad.dvc', status: 'unreadable' });
    expect(bad?.what).toContain(problem);
    expect(good).toMatchObject({ status: 'matches' });
  });

  it('refuses a pointer that is a folder or a device, and stops when asked to', async () => {
    symlinkSync('/dev/zero', path.join(repository.root, 'zero.dvc'));
    writeFileSync(path.join(repository.root, 'a.pt.dvc'), pointerTo('a.pt', ''));
    expect(await statuses()).toEqual(['a.pt absent', 'zero.dvc unreadable']);
    await expect(checkDvcPointers(repository.root, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'interrupted',
    });
  });
});
