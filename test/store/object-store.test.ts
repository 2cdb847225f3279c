import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ObjectStore, type StoreEntry } from '../../src/store/index.js';

let root: string;
let store: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-store-'));
  store = new ObjectStore(path.join(root, 'state', 'objects'));
});
afterEach(() => rm(root, { recursive: true }));

const text = (value: string) => new TextEncoder().encode(value);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const all = async () => {
  const found: StoreEntry[] = [];
  for await (const entry of store.entries()) found.push(entry);
  return found;
};

/** What a descriptor is of; nothing where it was closed meanwhile. */
function linkOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(descriptor);
  } catch {
    return undefined;
  }
}

async function rewrite(file: string, change: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(file);
  change(bytes);
  await chmod(file, 0o644);
  await writeFile(file, bytes);
}

describe('ObjectStore', () => {
  it('names a file by the sha256 of its bytes, in a folder of two digits, for reading only', async () => {
    // The digest is that of `printf abc | sha256sum`.
    const id = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await store.put(text('abc'))).toEqual({ id, bytes: 3 });
    const file = path.join(root, 'state/objects/ba', id);
    expect(store.fileOf(id)).toBe(file);
    expect((await stat(file)).mode & 0o777).toBe(0o444);
    expect(Buffer.from(await store.read(id, 1, 2)).toString()).toBe('bc');
    expect(await store.sizeOf(id)).toBe(3);
  });

  it('takes pieces, and a head that is known last', async () => {
    const writer = await store.begin(4);
    await Promise.all([writer.append(text('one')), writer.append(text('two'))]);
    const { id, bytes } = await writer.commit(text('head'));
    expect([id, bytes]).toEqual([sha256(text('headonetwo')), 10]);
    expect(Buffer.from(await store.read(id, 0, 10)).toString()).toBe('headonetwo');
    await writer.abort();
    expect(await all()).toHaveLength(1);
  });

  it('refuses a head of another length than announced, and leaves nothing of an aborted object', async () => {
    const writer = await store.begin(4);
    await expect(writer.commit(text('he'))).rejects.toThrow(RangeError);
    await writer.abort();
    await writer.abort();
    expect(await all()).toEqual([]);
  });

  it('holds equal bytes once, and renews the time of what is there', async () => {
    const first = await store.put(text('same'));
    const before = await stat(store.fileOf(first.id), { bigint: true });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await store.put(text('same'))).toEqual(first);
    expect(await all()).toHaveLength(1);
    expect((await stat(store.fileOf(first.id), { bigint: true })).mtimeNs).toBeGreaterThan(before.mtimeNs);
  });

  it('replaces a damaged object when the same bytes come again', async () => {
    const { id } = await store.put(text('same'));
    await rewrite(store.fileOf(id), (bytes) => bytes.fill(0));
    await expect(store.verify(id)).rejects.toMatchObject({ code: 'mismatch', file: store.fileOf(id) });
    await store.put(text('same'));
    await store.verify(id);
    expect(Buffer.from(await store.read(id, 0, 4)).toString()).toBe('same');
  });

  it('finds every flipped bit, and every length but the right one', async () => {
    const bytes = text('a few bytes are enough');
    const { id } = await store.put(bytes);
    const file = store.fileOf(id);
    await chmod(file, 0o644);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      await writeFile(file, flipped);
      await expect(new ObjectStore(store.folder).read(id, 0, 1)).rejects.toMatchObject({ code: 'mismatch' });
    }
    await writeFile(file, bytes);
    for (let length = bytes.length - 1; length >= 0; length -= 1) {
      await truncate(file, length);
      await expect(new ObjectStore(store.folder).verify(id)).rejects.toMatchObject({ code: 'mismatch' });
    }
  });

  it('looks again at an object that was touched after it was found sound', async () => {
    const { id } = await store.put(text('sound'));
    await store.verify(id);
    await rewrite(store.fileOf(id), (bytes) => {
      bytes[0]! ^= 1;
    });
    await expect(store.read(id, 1, 1)).rejects.toMatchObject({ code: 'mismatch' });
  });

  it.skipIf(!existsSync('/proc/self/fd'))(
    'reads an object side by side, and holds no file open afterwards',
    async () => {
      const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);
      const { id } = await store.put(bytes);
      const opened = () => readdirSync('/proc/self/fd').map((fd) => linkOf(`/proc/self/fd/${fd}`));
      const parts = await Promise.all(Array.from({ length: 50 }, (_, i) => store.read(id, 100 * i, 100)));
      expect(Buffer.concat(parts).equals(bytes)).toBe(true);
      expect(opened()).not.toContain(store.fileOf(id));
      await expect(Promise.all([store.read(id, 0, 10), store.read(id, 4999, 2)])).rejects.toMatchObject({
        code: 'unreadable',
      });
      await expect.poll(opened).not.toContain(store.fileOf(id));
    },
  );

  it('says of a missing object that it is missing, before and after it was there', async () => {
    const id = sha256(text('never'));
    await expect(store.read(id, 0, 0)).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(/missing/),
    });
    await store.put(text('never'));
    await store.verify(id);
    await store.remove(id);
    await store.remove(id);
    expect(await store.sizeOf(id)).toBeUndefined();
    await expect(store.verify(id)).rejects.toMatchObject({ code: 'mismatch' });
  });

  it('tells objects from temporary files and from what is not its own', async () => {
    expect(await all()).toEqual([]);
    const { id } = await store.put(text('abc'));
    const pending = await store.begin();
    await mkdir(path.join(store.folder, 'ff'));
    await writeFile(path.join(store.folder, 'ff', id), 'abc in a folder of other digits');
    await writeFile(path.join(store.folder, 'ba', `${id}.orig`), 'abc');
    await writeFile(path.join(store.folder, 'aa'), 'a file where a folder should be');
    await symlink(store.fileOf(id), path.join(store.folder, 'ba', `ba${'0'.repeat(62)}`));
    const kinds = (await all()).map(({ kind, path: at }) => [path.relative(store.folder, at), kind]);
    expect(kinds).toEqual([
      [expect.stringMatching(/^\.object\.tmp-/), 'temporary'],
      ['aa', 'foreign'],
      [`ba/ba${'0'.repeat(62)}`, 'foreign'],
      [`ba/${id}`, 'object'],
      [`ba/${id}.orig`, 'foreign'],
      [`ff/${id}`, 'foreign'],
    ]);
    await pending.abort();
  });
});
