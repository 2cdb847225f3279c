import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MANIFEST_FILE, readManifest, recordHashes, verifyFolder } from '../../src/manifest/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

let folder: string;
beforeEach(() => {
  folder = writeTinyModel(tinyModel(TINY_LLAMA));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const options = { version: '0.1.0' };

describe('recordHashes', () => {
  it('creates a manifest that verifies, and leaves it alone while nothing changes', async () => {
    expect(await recordHashes(folder, options)).toMatchObject({ manifest: 'created' });
    expect((await verifyFolder(folder)).matches).toBe(true);
    const { manifest } = await readManifest(folder);
    expect(manifest.model.architecture).toBe('llama');
    const before = readFileSync(path.join(folder, MANIFEST_FILE));
    expect(await recordHashes(folder, options)).toMatchObject({ manifest: 'unchanged' });
    expect(readFileSync(path.join(folder, MANIFEST_FILE)).equals(before)).toBe(true);
  });

  it('writes nothing when it is only asked what it would do', async () => {
    expect(await recordHashes(folder, { ...options, dryRun: true })).toMatchObject({ manifest: 'created' });
    expect(existsSync(path.join(folder, MANIFEST_FILE))).toBe(false);
  });

  it('drops how the weights came to be once they are other weights, and keeps it while only the config changes', async () => {
    await recordHashes(folder, options);
    const file = path.join(folder, MANIFEST_FILE);
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), seed: 7 }));

    writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...TINY_LLAMA, rope_theta: 50_000 }));
    expect(await recordHashes(folder, options)).toMatchObject({ manifest: 'updated' });
    expect((await readManifest(folder)).manifest.seed).toBe(7);

    writeTinyModel(tinyModel(TINY_LLAMA, 2), folder);
    expect(await recordHashes(folder, options)).toMatchObject({ manifest: 'updated' });
    expect((await readManifest(folder)).manifest.seed).toBeUndefined();
    expect((await verifyFolder(folder)).matches).toBe(true);
  });

  it('refuses a lone file, which has no place for a manifest', async () => {
    await expect(recordHashes(path.join(folder, 'model.safetensors'), options)).rejects.toMatchObject({
      code: 'usage',
    });
  });
});
