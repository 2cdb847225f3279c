import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it, onTestFinished } from 'vitest';
import type { ByteSource } from '../../src/checkpoint/index.js';
import { BlobReader, blobSizes, readBlobs } from '../../src/repository/blob-reader.js';
import { makeGitRepository } from '../fixtures/git-repository.js';
import { patterned } from '../fixtures/safetensors-file.js';

const NONE = '0123456789012345678901234567890123456789';

function repositoryWith(files: Readonly<Record<string, Uint8Array | string>>) {
  const repository = makeGitRepository();
  onTestFinished(repository.remove);
  repository.write(files);
  repository.commit('one');
  const reader = new BlobReader(repository.root);
  onTestFinished(() => reader.close());
  const oid = (name: string): string => repository.git('rev-parse', `HEAD:${name}`).trim();
  return { ...repository, reader, oid };
}

async function all(source: ByteSource | undefined): Promise<Buffer> {
  return Buffer.from(await source!.read(0, source!.size));
}

it('reads blobs of any size and content, one after the other and at once', async () => {
  const files = { empty: '', line: 'a\n', header: `${NONE} blob 3\nabc\n`, big: patterned(3_000_000) };
  const { reader, root, oid } = repositoryWith(files);
  for (const [name, content] of Object.entries(files)) {
    expect((await all(await reader.open(oid(name), name))).equals(Buffer.from(content))).toBe(true);
  }
  // Asked for before any is read: answers must not be mixed up.
  const sources = await Promise.all(Object.keys(files).map((name) => reader.open(oid(name), name)));
  expect(sources.map((source) => source?.size)).toEqual([0, 2, files.header.length, 3_000_000]);
  const found = await readBlobs(root, [oid('header'), NONE, oid('empty')]);
  expect([...found].map(([name, bytes]) => [name, bytes.toString()])).toEqual([
    [oid('header'), files.header],
    [oid('empty'), ''],
  ]);
});

it('says that a blob is not there, and refuses what is none, and reads on', async () => {
  const { reader, root, oid } = repositoryWith({ 'folder/a': 'a' });
  expect(await reader.open(NONE, 'x')).toBeUndefined();
  await expect(reader.open(oid('folder'), ':folder')).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringContaining('it is a tree'),
  });
  expect((await all(await reader.open(oid('folder/a'), 'a'))).toString()).toBe('a');
  expect([...(await blobSizes(root, [oid('folder'), NONE, oid('folder/a')]))]).toEqual([[oid('folder/a'), 1]]);
});

it('keeps a large blob in a temporary file, until it is closed', async () => {
  const size = 16 * 1024 * 1024 + 1;
  const content = Buffer.alloc(size);
  content.set(patterned(1000), size - 1000);
  const { reader, oid } = repositoryWith({ large: content });
  const temporary = () => readdirSync(tmpdir()).filter((name) => name.startsWith('birdbone-blob-'));
  const before = temporary().length;
  const source = await reader.open(oid('large'), ':large.bin');
  expect([source?.path, source?.size]).toEqual([':large.bin', size]);
  expect(temporary().length).toBe(before + 1);
  const tail = await source!.read(size - 1000, 1000);
  expect(Buffer.from(tail).equals(Buffer.from(patterned(1000)))).toBe(true);
  await source!.close();
  expect(temporary().length).toBe(before);
});

it('ends with an error when git cannot start', async () => {
  const reader = new BlobReader('/nonexistent');
  await expect(reader.open(NONE, 'x')).rejects.toMatchObject({ code: 'unsupported' });
});
