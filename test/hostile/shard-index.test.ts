import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import type { BirdboneError } from '../../src/errors.js';
import { fileBytes, patterned, temporaryFolder, u8 } from '../fixtures/safetensors-file.js';

const INDEX = 'model.safetensors.index.json';
const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';

/** A sound checkpoint of two shards: a and b in the first, c in the second. */
function twoShards(): string {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, FIRST), fileBytes({ a: u8(0, 4), b: u8(4, 6) }, patterned(6, 1)));
  writeFileSync(path.join(folder, SECOND), fileBytes({ c: u8(0, 3) }, patterned(3, 2)));
  writeIndex(folder, { a: FIRST, b: FIRST, c: SECOND });
  return folder;
}

function writeIndex(folder: string, weightMap: Record<string, unknown>, metadata: unknown = { total_size: 9 }): void {
  writeFileSync(path.join(folder, INDEX), JSON.stringify({ metadata, weight_map: weightMap }));
}

async function refusal(folder: string): Promise<BirdboneError> {
  const start = performance.now();
  const error = await openCheckpoint(folder).then(
    () => new Error('it was opened'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'BirdboneError', code: 'unreadable' });
  expect(performance.now() - start).toBeLessThan(1000);
  return error as BirdboneError;
}

describe('a sharded checkpoint', () => {
  it('reads each tensor from its shard', async () => {
    const checkpoint = await openCheckpoint(twoShards());
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b', 'c']);
    expect(await checkpoint.read('b')).toEqual(patterned(6, 1).slice(4));
    expect(await checkpoint.read('c', { offset: 1, length: 2 })).toEqual(patterned(3, 2).slice(1));
    expect(checkpoint.notices).toEqual([]);
    await checkpoint.close();
  });

  it('opens by its index as well as by its folder', async () => {
    const checkpoint = await openCheckpoint(path.join(twoShards(), INDEX));
    expect(checkpoint.tensors.size).toBe(3);
    await checkpoint.close();
  });

  it('tells of a wrong total_size, which nothing is computed from, and goes on', async () => {
    const folder = twoShards();
    writeIndex(folder, { a: FIRST, b: FIRST, c: SECOND }, { total_size: 10 });
    const checkpoint = await openCheckpoint(folder);
    expect(checkpoint.notices).toEqual(['The index declares 10 bytes of tensors; its files hold 9.']);
    await checkpoint.close();
  });

  it('skips what else an index may say, checking it', async () => {
    const folder = twoShards();
    const metadata = { total_size: 9, more: [1.5e-3, -1, true, null, { deep: ['x'] }], total_parameters: 9 };
    writeIndex(folder, { a: FIRST, b: FIRST, c: SECOND }, metadata);
    const checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.size).toBe(3);
    await checkpoint.close();
  });

  it.skipIf(process.platform === 'win32')('may lie in the Hugging Face cache, where every file is a link', async () => {
    const root = temporaryFolder();
    const snapshot = path.join(root, 'snapshots', 'abc');
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(path.join(root, 'blobs'));
    writeFileSync(path.join(root, 'blobs', '11'), fileBytes({ a: u8(0, 4) }, patterned(4)));
    writeFileSync(
      path.join(root, 'blobs', '22'),
      JSON.stringify({ weight_map: { a: 'model-00001-of-00001.safetensors' } }),
    );
    symlinkSync('../../blobs/11', path.join(snapshot, 'model-00001-of-00001.safetensors'));
    symlinkSync('../../blobs/22', path.join(snapshot, INDEX));
    const checkpoint = await openCheckpoint(snapshot);
    expect(await checkpoint.read('a')).toEqual(patterned(4));
    await checkpoint.close();
  });
});

describe('a shard name that could reach another file', () => {
  it.each([
    ['in the folder above', '../model.safetensors'],
    ['in a folder below', 'weights/model.safetensors'],
    ['that is absolute', '/etc/model.safetensors'],
    ['with backslashes', '..\\model.safetensors'],
    ['on a drive', 'C:model.safetensors'],
    ['that is a URL', 'https://example.org/model.safetensors'],
    ['that is a file URL', 'file:model.safetensors'],
    ['with a NUL', 'model.safetensors\0.safetensors'],
    ['with a line feed', 'model\n.safetensors'],
    ['with an escape', 'model\u001b[2J.safetensors'],
    ['with a C1 control character', 'model\u009b.safetensors'],
    ['that is hidden', '.safetensors'],
    ['that is the folder', '.'],
    ['that is the folder above', '..'],
    ['that is empty', ''],
    ['of another kind of file', 'config.json'],
    ['of over 255 bytes', `${'骨'.repeat(90)}.safetensors`],
  ])('is refused: one %s', async (_, name) => {
    const folder = twoShards();
    writeIndex(folder, { a: FIRST, b: name, c: SECOND });
    const error = await refusal(folder);
    expect(error.file).toBe(path.join(folder, INDEX));
    expect(error.message).toContain('weight_map puts "b" into the file');
  });
});

describe.skipIf(process.platform === 'win32')('a shard that is no regular file', () => {
  it.each([
    ['a pipe that nobody writes to', (shard: string) => void execFileSync('mkfifo', [shard])],
    ['an endless device', (shard: string) => symlinkSync('/dev/zero', shard)],
    ['a terminal', (shard: string) => symlinkSync('/dev/tty', shard)],
    ['a folder', (shard: string) => mkdirSync(shard)],
    ['a link to a folder', (shard: string) => symlinkSync('..', shard)],
  ])('is refused: %s', async (_, make) => {
    const folder = twoShards();
    execFileSync('rm', [path.join(folder, SECOND)]);
    make(path.join(folder, SECOND));
    const error = await refusal(folder);
    expect(error.message).toContain('it is no regular file');
    expect(error.file).toBe(path.join(folder, SECOND));
  });

  it('is refused: a link to itself', async () => {
    const folder = twoShards();
    execFileSync('rm', [path.join(folder, SECOND)]);
    symlinkSync(SECOND, path.join(folder, SECOND));
    const error = await refusal(folder);
    expect(error.message).toContain('ELOOP');
  });

  it('is refused: a link to a file that is no shard, without telling what is in it', async () => {
    const folder = twoShards();
    execFileSync('rm', [path.join(folder, SECOND)]);
    writeFileSync(path.join(folder, 'secret'), 'hunter2hunter2hunter2');
    symlinkSync('secret', path.join(folder, SECOND));
    const error = await refusal(folder);
    expect(error.message).not.toContain('hunter');
  });
});

describe('an index and shards that disagree', () => {
  const CASES: Record<string, { break: (folder: string) => void; says: string; file: string; tensor?: string }> = {
    'a shard is missing': {
      break: (folder) => writeIndex(folder, { a: FIRST, b: FIRST, c: 'model-00003-of-00003.safetensors' }),
      says: 'names 2 files, and 1 are missing: "model-00003-of-00003.safetensors"',
      file: INDEX,
    },
    'a shard is a link that leads nowhere': {
      break: (folder) => {
        symlinkSync('nowhere', path.join(folder, 'x.safetensors'));
        writeIndex(folder, { a: FIRST, b: FIRST, c: 'x.safetensors' });
      },
      says: '1 are missing: "x.safetensors"',
      file: INDEX,
    },
    'a tensor of the index is in no shard': {
      break: (folder) => writeIndex(folder, { a: FIRST, b: FIRST, c: SECOND, d: SECOND }),
      says: `"${SECOND}" has no tensor "d"`,
      file: INDEX,
      tensor: 'd',
    },
    'a tensor of a shard is not in the index': {
      break: (folder) => writeIndex(folder, { a: FIRST, c: SECOND }),
      says: `its tensor "b" is not in ${INDEX}`,
      file: FIRST,
      tensor: 'b',
    },
    'a tensor is in two shards': {
      break: (folder) => {
        writeFileSync(path.join(folder, SECOND), fileBytes({ b: u8(0, 2), c: u8(2, 5) }, 5));
      },
      says: `its tensor "b" belongs in "${FIRST}" alone`,
      file: SECOND,
      tensor: 'b',
    },
    'a tensor is in another shard than the index says': {
      break: (folder) => writeIndex(folder, { a: FIRST, b: SECOND, c: SECOND }),
      says: `its tensor "b" belongs in "${SECOND}" alone`,
      file: FIRST,
      tensor: 'b',
    },
    'a shard is broken': {
      break: (folder) => truncateSync(path.join(folder, SECOND), 20),
      says: 'its header declares',
      file: SECOND,
    },
  };

  it.each(Object.entries(CASES))('are refused: %s', async (_, { break: breakIt, says, file, tensor }) => {
    const folder = twoShards();
    breakIt(folder);
    const error = await refusal(folder);
    expect(error.message).toContain(says);
    expect(error.file).toBe(path.join(folder, file));
    expect(error.tensor).toBe(tensor);
  });
});

describe('a broken index', () => {
  const CASES: Record<string, { text: string | Uint8Array; says: string }> = {
    'that is empty': { text: '', says: 'has the end at byte 0' },
    'that is a list': { text: '[]', says: 'where "{" must come' },
    'with a byte order mark': { text: '\ufeff{}', says: 'the byte 0xef' },
    'with invalid UTF-8': { text: Buffer.from([0x7b, 0x22, 0xff, 0x22]), says: 'invalid UTF-8' },
    'with text after it': { text: `{"weight_map":{"a":"${FIRST}"}} x`, says: 'after the index comes "x"' },
    'without weight_map': { text: '{"metadata":{}}', says: 'no weight_map' },
    'with an empty weight_map': { text: '{"weight_map":{}}', says: 'no weight_map, or an empty one' },
    'with weight_map twice': {
      text: `{"weight_map":{"a":"${FIRST}"},"weight_map":{"a":"${SECOND}"}}`,
      says: 'the index has the key "weight_map" twice',
    },
    'with a tensor twice': {
      text: `{"weight_map":{"a":"${FIRST}","a":"${SECOND}"}}`,
      says: 'weight_map has the key "a" twice',
    },
    'with a file that is a number': { text: '{"weight_map":{"a":1}}', says: 'weight_map has "1"' },
    'with a file that is a list': { text: '{"weight_map":{"a":["x"]}}', says: 'weight_map has "["' },
    'with a negative total_size': { text: '{"metadata":{"total_size":-1}}', says: 'total_size holds -1' },
    'with a total_size of 1e400': { text: '{"metadata":{"total_size":1e400}}', says: 'total_size holds 1e400' },
    'with a total_size that is a string': { text: '{"metadata":{"total_size":"9"}}', says: 'where a number must come' },
    'nested a hundred thousand deep': { text: `{"x":${'['.repeat(100_000)}`, says: 'more than 64 levels deep' },
    'with a word that is no value': { text: '{"x":undefined}', says: 'where a value must come' },
    'with a number that is none': { text: '{"x":1.}', says: 'has the number 1.' },
    'with over a thousand shards': {
      text: JSON.stringify({
        weight_map: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `s${i}.safetensors`])),
      }),
      says: 'names over 1000 files',
    },
  };

  it.each(Object.entries(CASES))('%s is refused', async (_, { text, says }) => {
    const folder = twoShards();
    writeFileSync(path.join(folder, INDEX), text);
    const error = await refusal(folder);
    expect(error.file).toBe(path.join(folder, INDEX));
    expect(error.message).toContain(says);
  });

  it('of 5 GB is refused unread', async () => {
    const folder = twoShards();
    truncateSync(path.join(folder, INDEX), 5e9);
    expect((await refusal(folder)).message).toContain('it has 5000000000 bytes');
  });
});
