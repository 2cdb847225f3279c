import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../src/checkpoint/index.js';
import { scopeOf, updateWeightHashes } from '../../src/repository/index.js';
import { parseWeightHashes } from '../../src/repository/weight-hashes.js';
import { bundled } from '../fixtures/bundled.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { weights, weightsRepository } from '../fixtures/weights-repository.js';

const A = weights({ a: [1, 2, 3, 4] });
const FILE = '.weight_hashes.json';

async function recorded(root: string): Promise<string[]> {
  const text = readFileSync(path.join(root, FILE));
  return [...(await parseWeightHashes(memorySource(FILE, text))).keys()];
}

describe('updateWeightHashes', () => {
  it('records every file of weights that git tracks or could, and none that it ignores', async () => {
    const repository = weightsRepository();
    repository.write({
      'tracked.bin': 'x',
      'deep/untracked.SAFETENSORS': A,
      'ignored/a.bin': 'x',
      '.birdbone/run/layer.safetensors': A,
      'notes.txt': 'x',
      '.gitignore': 'ignored/\n',
    });
    repository.git('add', 'tracked.bin');
    expect(await repository.update([], { trackedOnly: true })).toMatchObject({ files: 1, added: ['tracked.bin'] });
    expect(await repository.update()).toMatchObject({ manifest: 'updated', added: ['deep/untracked.SAFETENSORS'] });
    expect(await recorded(repository.root)).toEqual(['deep/untracked.SAFETENSORS', 'tracked.bin']);
    const text = repository.read(FILE);
    expect(await repository.update()).toMatchObject({ manifest: 'unchanged', added: [], changed: [], removed: [] });
    expect(repository.read(FILE)).toBe(text);
  });

  it('keeps what is recorded of files that a sparse checkout leaves out, and checks the others', async () => {
    const repository = weightsRepository();
    repository.write({ 'here/a.safetensors': A, 'there/b.bin': 'x', 'gone.bin': 'y' });
    await repository.update();
    repository.git('add', '.');
    repository.git('commit', '-q', '-m', 'weights');
    const text = repository.read(FILE);
    repository.git('sparse-checkout', 'set', '--no-cone', '/here/', '/gone.bin', `/${FILE}`);
    expect(readdirSync(repository.root)).not.toContain('there');
    const says = [expect.stringContaining('there/b.bin')];
    expect((await repository.update()).notices).toEqual(expect.arrayContaining(says));
    expect(repository.read(FILE)).toBe(text);
    expect(await repository.check()).toMatchObject({ matches: true, files: 2, notices: says });
    rmSync(path.join(repository.root, 'gone.bin'));
    expect(await repository.check()).toMatchObject({ matches: false, findings: [{ path: 'gone.bin' }] });
    expect(await repository.update()).toMatchObject({ removed: ['gone.bin'] });
    expect(await recorded(repository.root)).toEqual(['here/a.safetensors', 'there/b.bin']);
  });

  it('gives the same text in another folder at another time', async () => {
    const texts: string[] = [];
    for (let i = 0; i < 2; i += 1) {
      const repository = weightsRepository();
      repository.write(i === 0 ? { 'a.safetensors': A, 'b/c.bin': 'x' } : { 'b/c.bin': 'x', 'a.safetensors': A });
      await repository.update();
      texts.push(repository.read(FILE));
      expect(texts[0]).not.toContain(repository.root);
    }
    expect(texts[1]).toBe(texts[0]);
  });

  it('touches nothing outside of the paths it is given', async () => {
    const repository = weightsRepository();
    repository.write({ 'a/1.bin': '1', 'a/2.bin': '2', 'ab.bin': '3' });
    await repository.update();
    repository.write({ 'a/1.bin': 'new', 'ab.bin': 'new', 'c.bin': 'new' });
    rmSync(path.join(repository.root, 'a/2.bin'));
    expect(await repository.update([path.join(repository.root, 'a')])).toMatchObject({
      changed: ['a/1.bin'],
      removed: ['a/2.bin'],
      added: [],
      hashed: 1,
    });
    expect(await repository.findings()).toEqual(['ab.bin: changed', 'c.bin: unrecorded']);
  });

  it('writes nothing on a dry run', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.bin': '1' });
    expect(await repository.update([], { dryRun: true })).toMatchObject({ manifest: 'created', added: ['a.bin'] });
    expect(readdirSync(repository.root).sort()).toEqual(['.git', 'a.bin']);
  });

  it('works in a folder without git', async () => {
    const root = temporaryFolder();
    writeFileSync(path.join(root, 'a.safetensors'), A);
    symlinkSync('/etc/hostname', path.join(root, 'link.bin'));
    const { notices } = await updateWeightHashes(await scopeOf([], root));
    expect(notices).toEqual(['link.bin is left out: it is a symbolic link.']);
    expect(await recorded(root)).toEqual(['a.safetensors']);
  });

  it('repairs a broken record whole, and leaves it alone for a part', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.bin': '1', [FILE]: 'broken' });
    await expect(repository.update([path.join(repository.root, 'a.bin')])).rejects.toMatchObject({
      code: 'unreadable',
    });
    expect(repository.read(FILE)).toBe('broken');
    expect(await repository.update()).toMatchObject({
      manifest: 'created',
      notices: expect.arrayContaining([expect.stringContaining('is replaced')]),
    });
    expect(await repository.findings()).toEqual([]);
  });
});

const UPDATE = bundled(new URL('../fixtures/update-weight-hashes.ts', import.meta.url));

/** Starts one `hash --update` of its own, on the sources. */
function updateProcess(root: string, file: string) {
  return spawn(process.execPath, [UPDATE, root, file], { stdio: 'inherit' });
}

describe('several at once', () => {
  it('leave one whole file that says what one of them found', async () => {
    const repository = weightsRepository();
    const names = Array.from({ length: 8 }, (_, i) => `m${i}.bin`);
    repository.write(Object.fromEntries(names.map((name) => [name, name])));
    const endings = names.map(
      (name) =>
        new Promise((resolve) => updateProcess(repository.root, path.join(repository.root, name)).on('close', resolve)),
    );
    expect(await Promise.all(endings)).toEqual(names.map(() => 0));
    const listed = await recorded(repository.root);
    expect(listed.length).toBeGreaterThan(0);
    expect(names).toEqual(expect.arrayContaining(listed));
    expect(readdirSync(repository.root).filter((name) => name.includes('.tmp-'))).toEqual([]);
    await repository.update();
    expect(await recorded(repository.root)).toEqual(names);
  });

  it('leave the old file or the new one when one is killed', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.bin': 'old' });
    await repository.update();
    const old = repository.read(FILE);
    repository.write({ 'a.bin': Buffer.alloc(40_000_000, 7) });
    await repository.update();
    const done = repository.read(FILE);
    for (const delay of [60, 120, 200, 300, 450]) {
      repository.write({ [FILE]: old });
      const child = updateProcess(repository.root, repository.root);
      const ended = new Promise((resolve) => child.on('close', resolve));
      setTimeout(() => child.kill('SIGKILL'), delay);
      await ended;
      expect([old, done]).toContain(repository.read(FILE));
    }
    expect(await repository.update()).toMatchObject({ files: 1 });
    expect(repository.read(FILE)).toBe(done);
  });
});
