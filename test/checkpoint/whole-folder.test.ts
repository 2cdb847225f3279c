import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeFolderWhole } from '../../src/checkpoint/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

describe('writeFolderWhole', () => {
  it('makes the folder with everything in it, and what lies above it', async () => {
    const root = temporaryFolder();
    const folder = path.join(root, 'a', 'b', 'model');
    await writeFolderWhole(folder, async (temporary) => {
      expect(existsSync(folder)).toBe(false);
      expect(path.dirname(temporary)).toBe(path.dirname(folder));
      await writeFile(path.join(temporary, 'config.json'), '{}');
    });
    expect(readdirSync(path.join(root, 'a', 'b'))).toEqual(['model']);
    expect(readdirSync(folder)).toEqual(['config.json']);
  });

  it('leaves nothing when the work fails, not even the folders above it', async () => {
    const root = temporaryFolder();
    const failing = writeFolderWhole(path.join(root, 'a', 'b', 'model'), async (temporary) => {
      await writeFile(path.join(temporary, 'config.json'), '{}');
      throw new Error('no more');
    });
    await expect(failing).rejects.toThrow('no more');
    expect(readdirSync(root)).toEqual([]);
  });

  it('keeps a folder above it into which somebody put something meanwhile', async () => {
    const root = temporaryFolder();
    const failing = writeFolderWhole(path.join(root, 'a', 'b', 'model'), async () => {
      writeFileSync(path.join(root, 'a', 'theirs'), '');
      throw new Error('no more');
    });
    await expect(failing).rejects.toThrow('no more');
    expect(readdirSync(root, { recursive: true })).toEqual(['a', path.join('a', 'theirs')]);
  });

  it.each(['folder', 'file', 'dangling link'])('replaces no %s, and does no work for it', async (kind) => {
    const target = path.join(temporaryFolder(), 'model');
    if (kind === 'folder') mkdirSync(target);
    else if (kind === 'file') writeFileSync(target, '');
    else symlinkSync('nowhere', target);
    let worked = false;
    const writing = writeFolderWhole(target, async () => {
      worked = true;
    });
    await expect(writing).rejects.toMatchObject({ code: 'usage', file: target });
    expect(worked).toBe(false);
  });

  it('replaces nothing that came while it worked', async () => {
    const root = temporaryFolder();
    const target = path.join(root, 'model');
    const writing = writeFolderWhole(target, async () => mkdirSync(target));
    await expect(writing).rejects.toMatchObject({ code: 'usage' });
    expect(readdirSync(root)).toEqual(['model']);
    expect(readdirSync(target)).toEqual([]);
  });
});
