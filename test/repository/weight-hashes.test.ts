import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../src/checkpoint/index.js';
import { type FileHashes, parseWeightHashes, weightHashesText } from '../../src/repository/weight-hashes.js';

const hex = (text: string): string => createHash('sha256').update(text).digest('hex');

function parse(text: string | Uint8Array) {
  return parseWeightHashes(memorySource('.weight_hashes.json', Buffer.from(text)));
}

function byPath(...files: FileHashes[]): Map<string, FileHashes> {
  return new Map(files.map((file) => [file.path, file]));
}

/** A record of a file, with the weights hash that hash.ts documents: sha256 over name, NUL, digest and line feed in name order. */
function entry(path: string, tensors: NonNullable<FileHashes['tensors']>): FileHashes {
  const inOrder = tensors.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const weights = hex(inOrder.map(({ name, sha256 }) => `${name}\0${sha256}\n`).join(''));
  return { path, format: 'safetensors', size: 8, sha256: hex(path), weights, metadata: hex('m'), tensors };
}

const opaque = (path: string): FileHashes => ({ path, format: 'opaque', size: 3, sha256: hex(path) });
const tensor = (name: string) => ({ name, dtype: 'F32' as const, shape: [2, 3], sha256: hex(name) });

const ONE = entry('models/a.safetensors', [tensor('b'), tensor('a')]);

describe('weightHashesText', () => {
  it('is this text', () => {
    expect(weightHashesText(byPath(opaque('z.bin'), ONE))).toBe(`{
  "version": 1,
  "files": [
    {
      "path": "models/a.safetensors",
      "format": "safetensors",
      "size": 8,
      "sha256": "${hex('models/a.safetensors')}",
      "weights": "${hex(`a\0${hex('a')}\nb\0${hex('b')}\n`)}",
      "metadata": "${hex('m')}",
      "tensors": [
        { "name": "a", "dtype": "F32", "shape": [2, 3], "sha256": "${hex('a')}" },
        { "name": "b", "dtype": "F32", "shape": [2, 3], "sha256": "${hex('b')}" }
      ]
    },
    {
      "path": "z.bin",
      "format": "opaque",
      "size": 3,
      "sha256": "${hex('z.bin')}"
    }
  ]
}
`);
    expect(weightHashesText(new Map())).toBe('{\n  "version": 1,\n  "files": []\n}\n');
  });

  it('is the same whatever the order of files and tensors, and reads back as what was written', async () => {
    const name = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('__proto__', 'constructor', 'a\n"b\u2028', ''),
    );
    const tensors = fc.uniqueArray(
      fc.record({
        name,
        dtype: fc.constantFrom('F32' as const, 'BF16' as const, 'I64' as const),
        shape: fc.array(fc.nat({ max: 2 ** 40 }), { maxLength: 4 }),
        sha256: fc.nat().map((seed) => hex(String(seed))),
      }),
      { selector: (one) => one.name, maxLength: 6 },
    );
    const path = fc
      .array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 3 })
      .map((parts) => `${parts.map((part) => `x${part.replaceAll(/[/\\\0]/g, '_')}`).join('/')}.pt`)
      .filter((text) => text.isWellFormed() && !/^[A-Za-z]:/.test(text));
    const file = fc.tuple(path, fc.option(tensors)).map(([at, some]) => (some === null ? opaque(at) : entry(at, some)));
    const files = fc.uniqueArray(file, { selector: (one) => one.path, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(files, fc.nat(), async (list, turn) => {
        const text = weightHashesText(byPath(...list));
        const turned = [...list.slice(turn % 5), ...list.slice(0, turn % 5)].map((one) =>
          one.tensors === undefined ? one : { ...one, tensors: [...one.tensors].reverse() },
        );
        expect(weightHashesText(byPath(...turned))).toBe(text);
        const read = await parse(text);
        expect(weightHashesText(read)).toBe(text);
        expect([...read.keys()]).toEqual(list.map((one) => one.path).sort());
      }),
      { numRuns: 200 },
    );
  });
});

describe('parseWeightHashes', () => {
  const text = weightHashesText(byPath(ONE));
  const withPath = (path: string): string => text.replace('"models/a.safetensors"', JSON.stringify(path));

  it('takes another layout of the same hashes', async () => {
    const read = await parse(JSON.stringify(JSON.parse(text)));
    expect(weightHashesText(read)).toBe(text);
  });

  it.each([
    ['leads out of the repository', '../a.safetensors', '".."'],
    ['leads out of it from within', 'models/../../a.safetensors', '".."'],
    ['is absolute', '/etc/a.safetensors', 'is absolute'],
    ['is absolute on Windows', 'C:/a.safetensors', 'is absolute'],
    ['has a backslash', 'models\\..\\a.safetensors', 'backslash'],
    ["leads into git's folder", '.git/a.safetensors', "git's own folder"],
    ["leads into git's folder of a submodule", 'sub/.GIT/a.safetensors', "git's own folder"],
    ['has a NUL', 'a\0.safetensors', 'NUL'],
    ['has an empty part', 'models//a.safetensors', 'empty part'],
    ['is empty', '', 'has 0 characters'],
    ['is longer than any file system takes', `${'a/'.repeat(3000)}a.safetensors`, 'characters'],
    ['holds no weights', 'models/config.json', 'ends in none of'],
  ])('refuses a path that %s', async (_, path, reason) => {
    await expect(parse(withPath(path))).rejects.toMatchObject({
      code: 'unreadable',
      file: '.weight_hashes.json',
      message: expect.stringContaining(reason),
    });
  });

  const twice = weightHashesText(byPath(opaque('a.bin'), opaque('b.bin'))).replace('"b.bin"', '"a.bin"');
  it.each([
    ['text that is not JSON', '{"version": 1', 'not JSON'],
    ['an empty file', '', 'not JSON'],
    ['another version', text.replace('"version": 1', '"version": 2'), 'version'],
    ['an unknown field', text.replace('"size": 8', '"size": 8, "mtime": 1'), 'mtime'],
    ['a file named twice', twice, 'names a file twice'],
    ['a tensor named twice', text.replace('"name": "b"', '"name": "a"'), 'names a tensor twice'],
    ['an edited tensor digest', text.replace(hex('b'), hex('c')), 'weights hash that is not that of its tensors'],
    ['an opaque file with tensors', text.replace('"format": "safetensors"', '"format": "opaque"'), 'exactly when'],
    ['a file without its metadata hash', text.replace(/ {6}"metadata".*\n/, ''), 'exactly when'],
    ['a negative size', text.replace('"size": 8', '"size": -8'), 'size'],
    ['a size that no number holds', text.replace('"size": 8', '"size": 1e400'), 'size'],
    ['an unknown element type', text.replaceAll('"F32"', '"F31"'), 'dtype'],
    ['a key twice, of which readers keep one or the other', text.replace('"size": 8', '"size": 9, "size": 8'), 'twice'],
    ['__proto__ as a key', text.replace('"size": 8', '"__proto__": {"size": 9}, "size": 8'), '__proto__'],
    ['a list where an object must be', '[]', 'expected object'],
  ])('refuses %s', async (_, broken, reason) => {
    expect(broken).not.toBe(text);
    await expect(parse(broken)).rejects.toMatchObject({ code: 'unreadable', message: expect.stringContaining(reason) });
  });

  it('refuses a file that is too large before reading it', async () => {
    const source = memorySource('.weight_hashes.json', new Uint8Array(0));
    const huge = { ...source, size: 2 ** 40, read: () => Promise.reject(new Error('was read')) };
    await expect(parseWeightHashes(huge)).rejects.toThrow('1099511627776 bytes');
  });

  it.each([
    ['deep nesting', '['.repeat(20_000_000)],
    ['millions of empty lists', `[${'[],'.repeat(9_000_000)}[]]`],
    ['one long line that nearly is a tensor', `        { "name": "${'a'.repeat(30_000_000)}`],
  ])('refuses %s at once, and in little memory', async (_, hostile) => {
    const source = memorySource('.weight_hashes.json', Buffer.from(hostile));
    const before = process.memoryUsage().rss;
    const started = process.cpuUsage();
    await expect(parseWeightHashes(source)).rejects.toMatchObject({ code: 'unreadable' });
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1e6).toBeLessThan(1);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024 + 2 * hostile.length);
  });

  it('takes the ends of lines that git writes on Windows', async () => {
    expect(weightHashesText(await parse(text.replaceAll('\n', '\r\n')))).toBe(text);
  });

  it('takes files in another order, as a merge may leave them', async () => {
    const two = weightHashesText(byPath(opaque('a.bin'), opaque('b.bin')));
    const [first = '', second = ''] = two.match(/ {4}\{\n(?: {6}.*\n)+ {4}\}/g) ?? [];
    const swapped = two.replace(`${first},\n${second}`, `${second},\n${first}`);
    expect(swapped.indexOf('b.bin')).toBeLessThan(swapped.indexOf('a.bin'));
    expect(weightHashesText(await parse(swapped))).toBe(two);
  });

  it('says that a merge conflict is one, and how to settle it', async () => {
    const conflicted = text.replace('  "files"', '<<<<<<< HEAD\n  "files"').replace(/\}\n$/, '>>>>>>> other\n}\n');
    await expect(parse(conflicted)).rejects.toMatchObject({
      message: expect.stringContaining('merge conflict'),
      suggestions: [expect.stringContaining('birdbone hash --update')],
    });
  });
});
