import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { sharedMissing, sharedModel } from '../shared.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'birdbone-lone-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a folder with one file of weights by a name of its own', () => {
  it.skipIf(sharedMissing)('is that file: a GGUF, with the tokenizer that it holds', async () => {
    const gguf = path.join(sharedModel('stories260k-gguf')!, 'stories260Ktok512.gguf');
    copyFileSync(gguf, path.join(folder, 'a.gguf'));
    const [alone, within] = [await openModel(gguf), await openModel(folder)];
    try {
      expect([...within.checkpoint.tensors.keys()]).toEqual([...alone.checkpoint.tensors.keys()]);
      const text = 'Once upon a time';
      expect((await loadTokenizer(folder)).encode(text)).toEqual((await loadTokenizer(gguf)).encode(text));
    } finally {
      await Promise.all([alone, within].map(({ checkpoint }) => checkpoint.close()));
    }
  });

  it('is refused with two of them: which one is meant?', async () => {
    for (const name of ['a.gguf', 'b.pt']) writeFileSync(path.join(folder, name), '');
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('it has only "a.gguf", "b.pt"'),
      suggestions: ['Name the file that is meant.'],
    });
  });
});
