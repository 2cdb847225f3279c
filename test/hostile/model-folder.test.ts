import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { readConfig } from '../../src/manifest/hash.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

let folder: string;
beforeEach(() => {
  folder = writeTinyModel(tinyModel(TINY_LLAMA));
  writeFileSync(path.join(folder, 'tokenizer_config.json'), '{}');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What a file of JSON can be instead, and what the error must say. */
const BROKEN: readonly [string, (file: string) => void, string][] = [
  ['empty', (file) => writeFileSync(file, ''), 'it is not JSON'],
  ['cut off', (file) => writeFileSync(file, '{"hidden_size": 3'), 'it is not JSON'],
  ['a list', (file) => writeFileSync(file, '[1, 2]'), 'it holds no JSON object'],
  ['null', (file) => writeFileSync(file, 'null'), 'it holds no JSON object'],
  ['a string', (file) => writeFileSync(file, '"llama"'), 'it holds no JSON object'],
  ['not UTF-8', (file) => writeFileSync(file, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])), 'it is not UTF-8'],
  ['nested too deep for the parser', (file) => writeFileSync(file, '['.repeat(200_000)), 'it is not JSON'],
  ['a folder', (file) => mkdirSync(file), 'it is no regular file'],
  ['an endless device', (file) => symlinkSync('/dev/zero', file), 'it is no regular file'],
  ['a pipe that nobody writes to', (file) => execFileSync('mkfifo', [file]), 'it is no regular file'],
  ['a sparse file of 5 GB', sparseFile, 'it has 5000000000 bytes'],
];

function sparseFile(file: string): void {
  writeFileSync(file, '');
  truncateSync(file, 5e9);
}

describe.skipIf(process.platform === 'win32')('config.json', () => {
  it.each(BROKEN)('that is %s is refused with its path', async (_, make, reason) => {
    const file = path.join(folder, 'config.json');
    rmSync(file);
    make(file);
    await expect(openModel(folder)).rejects.toMatchObject({ code: 'unreadable', file });
    await expect(openModel(folder)).rejects.toThrow(reason);
  });

  const twice: readonly [string, (text: string) => string, string][] = [
    ['a key twice', (text) => text.replace('{', '{"hidden_size": 64,'), 'it has the key "hidden_size" twice'],
    ['one twice further in', (text) => text.replace('{', '{"a": [{"b": 1, "b": 2}],'), 'it has the key "b" twice'],
    ['one twice in two spellings', (text) => text.replace('{', '{"hidden\\u005fsize": 64,'), '"hidden_size" twice'],
  ];
  it.each(twice)('with %s is refused: two readers could take it for two models', async (_, change, reason) => {
    const file = path.join(folder, 'config.json');
    writeFileSync(file, change(JSON.stringify(TINY_LLAMA)));
    const config = async (at: string) => readConfig(await openCheckpoint(at));
    for (const read of [openModel, config]) {
      await expect(read(folder)).rejects.toMatchObject({
        code: 'unreadable',
        file,
        message: expect.stringContaining(reason),
      });
    }
  });

  it('cannot smuggle keys in through the prototype', async () => {
    const text = JSON.stringify(TINY_LLAMA).replace('{', '{"__proto__": {"hidden_act": "gelu"},');
    writeFileSync(path.join(folder, 'config.json'), text);
    await expect(openModel(folder)).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe.skipIf(process.platform === 'win32')('tokenizer.json', () => {
  it.each(BROKEN)('that is %s is refused with its path', async (_, make, reason) => {
    const file = path.join(folder, 'tokenizer.json');
    make(file);
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'unreadable', file });
    await expect(loadTokenizer(folder)).rejects.toThrow(reason);
  });

  it.each([
    '{}',
    '{"model": {"type": "BPE"}}',
    '{"model": null, "decoder": null, "post_processor": null, "pre_tokenizer": null, "normalizer": null}',
    '{"model": {"type": "Magic"}, "decoder": null, "post_processor": null, "pre_tokenizer": null, "normalizer": null}',
    '{"model": {"type": "BPE", "vocab": 5, "merges": "x"}, "decoder": null, "post_processor": null, "pre_tokenizer": null, "normalizer": null, "added_tokens": []}',
  ])('%s is refused as a tokenizer', async (text) => {
    const file = path.join(folder, 'tokenizer.json');
    writeFileSync(file, text);
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'unreadable', file });
  });
});
