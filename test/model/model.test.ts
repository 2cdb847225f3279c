import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { folderOf, openModel, withCheckpoint } from '../../src/model/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const folder = writeTinyModel(tinyModel(TINY_LLAMA));
afterAll(() => rmSync(folder, { recursive: true }));

describe('openModel', () => {
  it('opens a folder', async () => {
    const model = await openModel(folder);
    expect(model.decoder).toMatchObject({
      architecture: 'llama',
      hidden: 32,
      heads: 4,
      kvHeads: 2,
      headDim: 8,
      ffn: 44,
    });
    expect(model.decoder.blocks).toHaveLength(2);
    await model.checkpoint.close();
  });

  it('opens one file with its config beside it', async () => {
    const model = await openModel(path.join(folder, 'model.safetensors'));
    expect(model.decoder.architecture).toBe('llama');
    await model.checkpoint.close();
  });

  it('names the config that is missing', async () => {
    const bare = mkdtempSync(path.join(tmpdir(), 'birdbone-bare-'));
    copyFileSync(path.join(folder, 'model.safetensors'), path.join(bare, 'model.safetensors'));
    await expect(openModel(bare)).rejects.toMatchObject({
      code: 'unreadable',
      file: path.join(bare, 'config.json'),
      message: expect.stringContaining('there is no such file'),
    });
    rmSync(bare, { recursive: true });
  });

  it.each([
    ['openModel', openModel],
    ['folderOf', folderOf],
  ])('says of a path that is not there what to look at (%s)', async (_, open) => {
    await expect(open('/nowhere/model')).rejects.toMatchObject({
      code: 'unreadable',
      file: '/nowhere/model',
      message: 'Cannot read /nowhere/model: there is no such file or folder (ENOENT).',
      suggestions: ['Check the path.'],
    });
  });

  it('puts other weights under the same decoder', async () => {
    const model = await openModel(folder);
    const other = { ...model.checkpoint, path: 'elsewhere' };
    const changed = withCheckpoint(model, other);
    expect(changed.decoder).toBe(model.decoder);
    expect(changed.checkpoint).toBe(other);
    expect(model.checkpoint.path).not.toBe('elsewhere');
    await model.checkpoint.close();
  });
});
