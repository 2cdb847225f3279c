import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, realpathSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryName, writing } from '../../src/checkpoint/files/durable.js';
import { makeFolder, renameDurably, syncFolder, writeFileDurably } from '../../src/checkpoint/index.js';
import { bundled } from '../fixtures/bundled.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

describe('writeFileDurably', () => {
  it('writes text and bytes, and replaces what was there', async () => {
    const file = path.join(temporaryFolder(), 'file');
    await writeFileDurably(file, 'grüße');
    expect(readFileSync(file, 'utf8')).toBe('grüße');
    await writeFileDurably(file, Uint8Array.of(1, 2));
    expect([...readFileSync(file)]).toEqual([1, 2]);
    expect(readdirSync(path.dirname(file))).toEqual(['file']);
  });

  it('leaves one of the texts, whole, when several are written at once', async () => {
    const file = path.join(temporaryFolder(), 'file');
    const texts = Array.from({ length: 16 }, (_, i) => `${i}`.repeat(10_000));
    await Promise.all(texts.map((text) => writeFileDurably(file, text)));
    expect(texts).toContain(readFileSync(file, 'utf8'));
    expect(readdirSync(path.dirname(file))).toEqual(['file']);
  });

  it('says what to do when the folder is missing', async () => {
    const file = path.join(temporaryFolder(), 'missing', 'file');
    await expect(writeFileDurably(file, 'x')).rejects.toMatchObject({
      code: 'unwritable',
      exitCode: 6,
      file,
      message: `Cannot write ${file}: its folder does not exist (ENOENT).`,
      suggestions: ['Create the folder first.'],
      cause: { code: 'ENOENT' },
    });
  });

  it('leaves no temporary file when it cannot take the place of a folder', async () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'file'));
    await expect(writeFileDurably(path.join(folder, 'file'), 'x')).rejects.toMatchObject({ code: 'unwritable' });
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('removes what killed writers of the same file left a day ago, and nothing else', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'file.json');
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    const old = [
      '.file.json.tmp-0123456789ab',
      '.other.json.tmp-0123456789ab',
      '.file.json.tmp-notes',
      '.file.json.tmp-',
    ];
    const young = '.file.json.tmp-ba9876543210';
    for (const name of [...old, young]) writeFileSync(path.join(folder, name), 'half of it');
    for (const name of old) utimesSync(path.join(folder, name), twoDaysAgo, twoDaysAgo);
    await writeFileDurably(file, 'whole');
    expect(readdirSync(folder).sort()).toEqual([...old.slice(1), young, 'file.json'].sort());
  });

  it('takes names of up to 255 bytes', async () => {
    const file = path.join(temporaryFolder(), '骨'.repeat(85));
    await writeFileDurably(file, 'x');
    expect(readFileSync(file, 'utf8')).toBe('x');
  });
});

describe('renameDurably', () => {
  it('moves a folder between folders', async () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'a', 'model'), { recursive: true });
    mkdirSync(path.join(folder, 'b'));
    writeFileSync(path.join(folder, 'a', 'model', 'x'), 'x');
    await renameDurably(path.join(folder, 'a', 'model'), path.join(folder, 'b', 'model'));
    expect(readFileSync(path.join(folder, 'b', 'model', 'x'), 'utf8')).toBe('x');
  });

  it('names the new place when it fails', async () => {
    const folder = temporaryFolder();
    const to = path.join(folder, 'to');
    await expect(renameDurably(path.join(folder, 'none'), to)).rejects.toMatchObject({ code: 'unwritable', file: to });
  });
});

it('syncFolder names a folder that is not there', async () => {
  const folder = path.join(temporaryFolder(), 'none');
  await expect(syncFolder(folder)).rejects.toMatchObject({ code: 'unwritable', file: folder });
});

it('temporary names are new each time, beside the file, hidden, and such as gc knows', () => {
  const names = new Set(Array.from({ length: 100 }, () => temporaryName('/models/out/model.safetensors')));
  expect(names.size).toBe(100);
  for (const name of names) expect(name).toMatch(/^\/models\/out\/\.model\.safetensors\.tmp-[0-9a-f]{12}$/);
});

describe('makeFolder', () => {
  it('makes the folders above, and nothing of those that are there', async () => {
    const folder = path.join(temporaryFolder(), 'a', 'b');
    await makeFolder(folder);
    writeFileSync(path.join(folder, 'file'), 'kept');
    await makeFolder(folder);
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('says what is in the way', async () => {
    const file = path.join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(makeFolder(path.join(file, 'a'))).rejects.toMatchObject({ code: 'unwritable' });
    await expect(makeFolder(file)).rejects.toMatchObject({ code: 'unwritable', file });
  });
});

describe('writing', () => {
  it.skipIf(process.platform !== 'linux')('turns a full disk into an error that the user can act on', async () => {
    const fill = async () => {
      const handle = await open('/dev/full', 'w');
      try {
        await handle.write(Buffer.alloc(10));
      } finally {
        await handle.close();
      }
    };
    await expect(writing('/models/out', fill)).rejects.toMatchObject({
      code: 'unwritable',
      file: '/models/out',
      message: 'Cannot write /models/out: the disk is full (ENOSPC).',
    });
  });

  it('lets mistakes of ours through as they are', async () => {
    const bug = new TypeError('x is not a function');
    await expect(writing('file', () => Promise.reject(bug))).rejects.toBe(bug);
  });
});

/** The system calls of a write, each made to fail by strace as a disk would. */
const canTrace = process.platform === 'linux' && spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
describe.skipIf(!canTrace)(`failing system calls${canTrace ? '' : ' (strace is missing or may not trace)'}`, () => {
  const WRITE = bundled(new URL('../fixtures/write-durably.ts', import.meta.url));

  it.each([
    ['pwrite64', 'ENOSPC', 'the disk is full (ENOSPC)'],
    ['fsync', 'EIO', 'the disk failed (EIO)'],
    ['fsync', 'EDQUOT', 'the disk quota is used up (EDQUOT)'],
    ['rename', 'EROFS', 'the file system is read-only (EROFS)'],
    ['rename', 'EACCES', 'writing is not permitted (EACCES)'],
  ])('%s with %s leave the old file, no temporary one, and a message', (call, error, says) => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'model.safetensors');
    writeFileSync(file, 'before');
    const inject = ['-f', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:error=${error}`];
    const run = spawnSync('strace', [...inject, process.execPath, WRITE, file], {
      encoding: 'utf8',
      env: { ...process.env, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' },
    });
    expect(run.stdout).toBe(`unwritable: Cannot write ${file}: ${says}.`);
    expect(readFileSync(file, 'utf8')).toBe('before');
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it('are none where folders are made, whose names are synced in those above them', () => {
    const top = realpathSync(temporaryFolder());
    const source = new URL('../../src/checkpoint/files/durable.ts', import.meta.url).href;
    const script = `import { makeFolder } from ${JSON.stringify(source)}; await makeFolder(process.argv[1]);`;
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script, path.join(top, 'a', 'b')];
    const log = path.join(temporaryFolder(), 'calls');
    const run = spawnSync('strace', ['-f', '-y', '-o', log, '-e', 'trace=fsync', ...node], {
      encoding: 'utf8',
      env: { ...process.env, UV_USE_IO_URING: '0', TSX_DISABLE_CACHE: '1' },
    });
    expect(run.stderr).toBe('');
    const synced = [...readFileSync(log, 'utf8').matchAll(/fsync\(\d+<([^>]*)>\)\s+= 0/g)].map(([, name]) => name);
    expect(synced).toEqual([path.join(top, 'a'), top]);
  });
});
