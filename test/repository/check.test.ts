import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { programMissing } from '../fixtures/git-repository.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { useLfs, weights, weightsRepository } from '../fixtures/weights-repository.js';

const A = weights({ a: [1, 2, 3, 4], b: [5, 6] });
const B = weights({ a: [1, 2, 3, 5], b: [5, 6] });

describe('checkWeightHashes in the folder', () => {
  it('matches what was recorded, and is about nothing where there are no weights', async () => {
    const repository = weightsRepository();
    expect(await repository.check()).toMatchObject({ matches: true, files: 0 });
    repository.write({ 'm/a.safetensors': A, 'm/b.bin': 'opaque', 'readme.md': 'x' });
    await repository.update();
    expect(await repository.check()).toMatchObject({ matches: true, tree: 'working tree', files: 2, read: 2 });
  });

  it('finds every kind of difference', async () => {
    const repository = weightsRepository();
    repository.write({
      'c.safetensors': A,
      'gone.safetensors': A,
      'l.safetensors': A,
      'o.onnx': 'one',
      'same.gguf': 'x',
    });
    await repository.update();
    repository.write({
      'c.safetensors': weights({ a: [1, 2, 3, 5], c: [5, 6], b: [1] }),
      'o.onnx': 'two',
      'new.safetensors': A,
    });
    for (const name of ['gone.safetensors', 'l.safetensors']) rmSync(path.join(repository.root, name));
    symlinkSync('c.safetensors', path.join(repository.root, 'l.safetensors'));
    expect(await repository.findings()).toEqual([
      'c.safetensors: changed a=changed b=shape c=added',
      'gone.safetensors: missing',
      'l.safetensors: refused',
      'new.safetensors: unrecorded',
      'o.onnx: changed',
    ]);
    expect(await repository.findings({ paths: [path.join(repository.root, 'o.onnx')] })).toEqual(['o.onnx: changed']);
  });

  it('looks at the bytes, whatever time and size say', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': A });
    await repository.update();
    const file = path.join(repository.root, 'a.safetensors');
    const { atime, mtime } = (await import('node:fs')).statSync(file);
    writeFileSync(file, B);
    (await import('node:fs')).utimesSync(file, atime, mtime);
    expect(await repository.findings()).toEqual(['a.safetensors: changed a=changed']);
  });

  it('tells changed metadata from changed values', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': weights({ a: [1] }, { note: 'one' }) });
    await repository.update();
    repository.write({ 'a.safetensors': weights({ a: [1] }, { note: 'two' }) });
    const { findings } = await repository.check();
    expect(findings).toMatchObject([{ finding: 'changed', metadataChanged: true, tensors: [] }]);
  });

  it('finds a record that somebody edited to look like other weights', async () => {
    const [repository, other] = [weightsRepository(), weightsRepository()];
    repository.write({ 'a.safetensors': A });
    other.write({ 'a.safetensors': B });
    await repository.update();
    await other.update();
    // The tensors and weights hash of B under the size and sha256 of A: consistent in itself.
    const [ofA, ofB] = [repository, other].map(({ read }) => JSON.parse(read('.weight_hashes.json')));
    const { size, sha256 } = ofA.files[0];
    repository.write({ '.weight_hashes.json': JSON.stringify({ ...ofB, files: [{ ...ofB.files[0], size, sha256 }] }) });
    expect(await repository.findings()).toEqual(['a.safetensors: forged a=changed']);
  });

  it('says how far values moved from those in the last commit', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': A });
    await repository.update();
    repository.commit('one');
    repository.write({ 'a.safetensors': B });
    const [finding] = (await repository.check()).findings;
    // ‖(0, 0, 0, 1)‖ / ‖(1, 2, 3, 4)‖ = 1 / √30; cosine (1 + 4 + 9 + 20) / (√30 · √39).
    expect(finding?.tensors).toMatchObject([
      {
        name: 'a',
        values: {
          fractionChanged: 0.25,
          relativeError: expect.closeTo(1 / Math.sqrt(30), 12),
          cosine: expect.closeTo(34 / Math.sqrt(30 * 39), 12),
        },
      },
    ]);
    expect(finding?.unknown).toBeUndefined();
  });

  it('compares with nothing but the recorded file, and says when this clone has none', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': A });
    repository.commit('one');
    repository.write({ 'a.safetensors': B });
    await repository.update();
    repository.write({ 'a.safetensors': weights({ a: [9, 9, 9, 9], b: [5, 6] }) });
    const [finding] = (await repository.check()).findings;
    expect(finding).toMatchObject({ unknown: expect.stringContaining('no copy of the recorded file') });
    expect(finding?.tensors?.[0]).not.toHaveProperty('values');
  });

  it('refuses paths outside, and paths without weights', async () => {
    const repository = weightsRepository();
    repository.write({ 'm/a.safetensors': A, 'm/b.txt': 'text' });
    const outside = temporaryFolder();
    await expect(
      repository.check({ paths: ['m', outside].map((p) => path.resolve(repository.root, p)) }),
    ).rejects.toMatchObject({
      code: 'usage',
    });
    for (const empty of ['m/b.txt', 'm/c.safetensors', 'none']) {
      await expect(repository.check({ paths: [path.join(repository.root, empty)] })).rejects.toMatchObject({
        code: 'usage',
      });
    }
  });

  it('reads nothing through a symbolic link to a folder', async () => {
    const repository = weightsRepository();
    const outside = temporaryFolder();
    writeFileSync(path.join(outside, 'a.safetensors'), A);
    repository.write({ 'm/a.safetensors': A });
    await repository.update();
    rmSync(path.join(repository.root, 'm'), { recursive: true });
    symlinkSync(outside, path.join(repository.root, 'm'));
    // git lists no file behind the link, so the recorded one is missing.
    expect(await repository.findings()).toEqual(['m/a.safetensors: missing']);
    repository.git('add', '--force', '.weight_hashes.json');
    rmSync(path.join(repository.root, '.weight_hashes.json'));
    symlinkSync(path.join(outside, 'a.safetensors'), path.join(repository.root, '.weight_hashes.json'));
    await expect(repository.check()).rejects.toThrow('it is a symbolic link');
  });
});

describe('checkWeightHashes in the index', () => {
  it('is about what is staged, before the first commit and after', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': A });
    repository.git('add', '.');
    expect(await repository.findings({ staged: true })).toEqual(['a.safetensors: unrecorded']);
    await repository.update();
    // Written, but not staged.
    expect(await repository.findings({ staged: true })).toEqual(['a.safetensors: unrecorded']);
    repository.git('add', '.');
    expect(await repository.check({ staged: true })).toMatchObject({ matches: true, tree: 'index', files: 1, read: 1 });
    repository.commit('one');
    expect(await repository.check({ staged: true })).toMatchObject({ matches: true, files: 1, read: 0 });
    repository.write({ 'a.safetensors': B });
    expect(await repository.findings({ staged: true })).toEqual([]);
    repository.git('add', '.');
    const { findings } = await repository.check({ staged: true });
    expect(findings).toMatchObject([
      { path: 'a.safetensors', finding: 'changed', tensors: [{ name: 'a', values: { fractionChanged: 0.25 } }] },
    ]);
  });

  it('reads a file whose record changed, though it did not', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': A, 'b.safetensors': A });
    await repository.update();
    repository.commit('one');
    const other = weightsRepository();
    other.write({ 'a.safetensors': B, 'b.safetensors': A });
    await other.update();
    repository.write({ '.weight_hashes.json': other.read('.weight_hashes.json') });
    repository.git('add', '.');
    expect(await repository.check({ staged: true })).toMatchObject({ read: 1 });
    expect(await repository.findings({ staged: true })).toEqual(['a.safetensors: changed a=changed']);
  });

  it('sees files that are removed and renamed', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.safetensors': A, 'b.safetensors': A });
    await repository.update();
    repository.commit('one');
    repository.git('rm', '--quiet', 'a.safetensors');
    repository.git('mv', 'b.safetensors', 'c.safetensors');
    expect(await repository.findings({ staged: true })).toEqual([
      'a.safetensors: missing',
      'b.safetensors: missing',
      'c.safetensors: unrecorded',
    ]);
    await repository.update();
    repository.git('add', '.');
    expect(await repository.findings({ staged: true })).toEqual([]);
  });

  it('takes names with spaces, line breaks, quotes and any script', async () => {
    const repository = weightsRepository();
    const names = [
      'with space/a b.safetensors',
      'line\nbreak.pt',
      '"quoted"\t.bin',
      'дерево/木.gguf',
      '-dash.npz',
      ':(top)x.h5',
      '*.pkl',
    ];
    repository.write(Object.fromEntries(names.map((name) => [name, A])));
    expect((await repository.update()).files).toBe(names.length);
    repository.git('add', '--all');
    expect(await repository.check({ staged: true })).toMatchObject({ matches: true, files: names.length });
    repository.commit('one');
    repository.write(Object.fromEntries(names.map((name) => [name, B])));
    repository.git('add', '--all');
    const { findings } = await repository.check({ staged: true });
    expect(findings.map((finding) => finding.path)).toEqual([...names].sort());
    // Whatever is in a format by its content is compared with the commit's, whose file is found under the same name.
    const compared = findings.filter(({ tensors }) => tensors?.[0]?.values?.fractionChanged === 0.25);
    expect(compared.map((finding) => finding.path)).toEqual(
      ['"quoted"\t.bin', '*.pkl', '-dash.npz', ':(top)x.h5', 'line\nbreak.pt', 'with space/a b.safetensors'].sort(),
    );
  });

  it('refuses names that cannot be recorded, by name', async () => {
    const repository = weightsRepository();
    repository.write({ 'back\\slash.bin': 'x' });
    const { notices } = await repository.update();
    expect(notices).toEqual([expect.stringContaining('backslash')]);
    repository.git('add', '--all');
    expect((await repository.check({ staged: true })).notices).toEqual([expect.stringContaining('backslash')]);
    writeFileSync(Buffer.concat([Buffer.from(`${repository.root}/`), Buffer.from([0xff]), Buffer.from('.bin')]), 'x');
    await expect(repository.update()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('ÿ.bin'),
    });
  });

  it('leaves out links and submodules, by name', async () => {
    const [repository, sub] = [weightsRepository(), weightsRepository()];
    sub.write({ 'a.bin': 'x' });
    sub.commit('one');
    symlinkSync('/etc/passwd', path.join(repository.root, 'link.bin'));
    repository.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', sub.root, 'sub.bin');
    repository.git('add', '--all');
    const { matches, notices } = await repository.check({ staged: true });
    expect(matches).toBe(true);
    expect(notices).toEqual([
      'link.bin is left out: it is a symbolic link.',
      'sub.bin is left out: it is a submodule.',
    ]);
  });

  it('says which file has a merge conflict', async () => {
    const repository = weightsRepository();
    repository.write({ 'a.bin': 'base' });
    await repository.update();
    repository.commit('base');
    repository.git('switch', '--quiet', '--create', 'other');
    repository.write({ 'a.bin': 'theirs' });
    await repository.update();
    repository.commit('theirs');
    repository.git('switch', '--quiet', 'main');
    repository.write({ 'a.bin': 'ours' });
    await repository.update();
    repository.commit('ours');
    expect(() => repository.git('merge', 'other')).toThrow();
    await expect(repository.check({ staged: true })).rejects.toMatchObject({
      message: expect.stringContaining('.weight_hashes.json has a merge conflict'),
    });
    await expect(repository.check()).rejects.toMatchObject({ code: 'unreadable' });
    repository.write({ 'a.bin': 'theirs' });
    repository.git('add', 'a.bin');
    repository.git('rm', '--quiet', '--cached', '.weight_hashes.json');
    const { manifest, notices } = await repository.update();
    expect([manifest, notices[0]]).toEqual(['created', expect.stringContaining('marks of a merge conflict')]);
    repository.git('add', '.');
    expect(await repository.findings({ staged: true })).toEqual([]);
  });

  it('is refused where there is no git', async () => {
    const { checkWeightHashes, scopeOf } = await import('../../src/repository/index.js');
    const scope = await scopeOf([], temporaryFolder());
    await expect(checkWeightHashes(scope, { staged: true })).rejects.toMatchObject({ code: 'usage' });
  });
});

const noLfs = programMissing('git-lfs');
describe.skipIf(noLfs !== undefined)(`checkWeightHashes with git-lfs (${noLfs ?? 'pointers'})`, () => {
  it('takes the oid of a pointer without its content', async () => {
    const repository = weightsRepository();
    useLfs(repository);
    repository.write({ 'a.safetensors': A, 'b.safetensors': A });
    await repository.update();
    repository.commit('one');
    expect(repository.git('cat-file', 'blob', 'HEAD:a.safetensors')).toContain('oid sha256:');
    rmSync(path.join(repository.root, '.git/lfs'), { recursive: true });
    expect(await repository.check({ staged: true })).toMatchObject({ matches: true, files: 2, read: 0 });
  });

  it('finds a pointer to other content, and says how far it is while the objects are here', async () => {
    const repository = weightsRepository();
    useLfs(repository);
    repository.write({ 'a.safetensors': A });
    await repository.update();
    repository.commit('one');
    repository.write({ 'a.safetensors': B });
    repository.git('add', '.');
    const [finding] = (await repository.check({ staged: true })).findings;
    expect(finding?.tensors).toMatchObject([{ name: 'a', values: { fractionChanged: 0.25 } }]);
    expect(finding?.found?.size).toBe(B.length);
    rmSync(path.join(repository.root, '.git/lfs'), { recursive: true });
    const [blind] = (await repository.check({ staged: true })).findings;
    expect(blind).toMatchObject({ finding: 'changed', unknown: expect.stringContaining('not in this clone') });
  });

  it('does not believe a damaged object that it is what the pointer says', async () => {
    const repository = weightsRepository();
    useLfs(repository);
    repository.write({ 'a.safetensors': A });
    await repository.update();
    repository.write({ 'a.safetensors': B });
    repository.git('add', '.');
    const oid = /oid sha256:(\w+)/.exec(repository.git('cat-file', 'blob', ':a.safetensors'))?.[1] ?? '';
    const object = path.join(repository.root, '.git/lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid);
    expect(existsSync(object)).toBe(true);
    writeFileSync(object, A);
    const [finding] = (await repository.check({ staged: true })).findings;
    expect(finding).toMatchObject({ finding: 'changed', unknown: expect.stringContaining('damaged') });
  });

  it('knows pointers in the folder of a clone without the content, and finds the store that lfs.storage names', async () => {
    const repository = weightsRepository();
    useLfs(repository);
    repository.write({ 'a.safetensors': A });
    await repository.update();
    repository.commit('one');
    const pointer = repository.git('cat-file', 'blob', 'HEAD:a.safetensors');
    repository.write({ 'a.safetensors': pointer });
    expect(await repository.check()).toMatchObject({ matches: true, read: 0 });
    // The object is here, so that the record keeps its tensors; without it too, for it is recorded already.
    expect(await repository.update()).toMatchObject({ manifest: 'unchanged', notices: [] });
    mkdirSync(path.join(repository.root, '.git/store'));
    renameSync(path.join(repository.root, '.git/lfs/objects'), path.join(repository.root, '.git/store/objects'));
    expect(await repository.update()).toMatchObject({ manifest: 'unchanged', notices: [] });
    rmSync(path.join(repository.root, '.weight_hashes.json'));
    const { notices } = await repository.update();
    expect(notices).toEqual([expect.stringContaining('git lfs pull')]);
    expect(repository.read('.weight_hashes.json')).toContain('"opaque"');
    repository.git('config', 'lfs.storage', 'store');
    expect(await repository.update()).toMatchObject({ manifest: 'updated', notices: [] });
    expect(repository.read('.weight_hashes.json')).toContain('"safetensors"');
  });
});
