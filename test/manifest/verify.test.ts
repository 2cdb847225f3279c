import { mkdir, mkdtemp, open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { createManifest, hashCheckpoint, MANIFEST_FILE, manifestText, verifyFolder } from '../../src/manifest/index.js';
import { compareWithManifest } from '../../src/manifest/verify.js';
import { f32, type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { sharedMissing, sharedModel } from '../shared.js';

type Tensors = Record<string, MemoryTensor>;

async function compare(recorded: Tensors, found: Tensors) {
  const hashes = await hashCheckpoint(memoryCheckpoint(recorded));
  return compareWithManifest(createManifest({ hashes, version: '0' }), await hashCheckpoint(memoryCheckpoint(found)));
}

describe('compareWithManifest', () => {
  it('finds nothing where nothing changed', async () => {
    const tensors = { a: f32([2], [1, 2]), b: f32([1], [3]) };
    expect(await compare(tensors, tensors)).toMatchObject({ matches: true, findings: [], tensors: 2 });
  });

  it('says of each tensor how it differs', async () => {
    const recorded = {
      a: f32([2], [1, 2]),
      b: f32([2], [1, 2]),
      c: f32([2], [1, 2]),
      d: f32([1], [1]),
      same: f32([1], [1]),
    };
    const found = {
      a: f32([2], [1, 3]),
      b: { ...f32([2], [1, 2]), dtype: 'I32' as const },
      c: f32([1, 2], [1, 2]),
      e: f32([1], [1]),
      same: f32([1], [1]),
    };
    const report = await compare(recorded, found);
    expect(report.matches).toBe(false);
    expect(report.findings.map(({ name, finding }) => [name, finding])).toEqual([
      ['a', 'changed'],
      ['b', 'dtype'],
      ['c', 'shape'],
      ['d', 'removed'],
      ['e', 'added'],
    ]);
    expect(report.findings[2]).toMatchObject({ recorded: { shape: [2] }, found: { shape: [1, 2] } });
    expect(report.weights.matches || report.metadata.matches).toBe(false);
  });

  it('does not trust a manifest whose own weights hash was edited', async () => {
    const hashes = await hashCheckpoint(memoryCheckpoint({ a: f32([1], [1]) }));
    const manifest = { ...createManifest({ hashes, version: '0' }), weights: '0'.repeat(64) };
    expect(compareWithManifest(manifest, hashes)).toMatchObject({
      matches: false,
      findings: [],
      weights: { matches: false },
    });
  });
});

describe.skipIf(sharedMissing !== undefined)(`verifyFolder (${sharedMissing ?? 'stories260k'})`, () => {
  async function recordedCopy(): Promise<string> {
    const folder = path.join(await mkdtemp(path.join(tmpdir(), 'birdbone-verify-')), 'model');
    await mkdir(folder);
    for (const file of ['config.json', 'model.safetensors']) {
      // Read and written, not copied: the originals are read-only.
      await writeFile(path.join(folder, file), await readFile(path.join(sharedModel('stories260k'), file)));
    }
    const checkpoint = await openCheckpoint(folder);
    const hashes = await hashCheckpoint(checkpoint);
    await checkpoint.close();
    await writeFile(path.join(folder, MANIFEST_FILE), manifestText(createManifest({ hashes, version: '0' })));
    return folder;
  }

  async function rewrite(file: string, change: (bytes: Buffer) => Buffer | string): Promise<void> {
    const bytes = await readFile(file);
    await writeFile(file, change(bytes));
  }

  it('confirms an untouched folder', async () => {
    const folder = await recordedCopy();
    expect(await verifyFolder(folder)).toMatchObject({ folder, matches: true, findings: [] });
  });

  it('names the tensor in which one bit flipped', async () => {
    const folder = await recordedCopy();
    const file = await open(path.join(folder, 'model.safetensors'), 'r+');
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    await file.read(last, 0, 1, size - 1);
    last[0]! ^= 0x10;
    await file.write(last, 0, 1, size - 1);
    await file.close();
    const report = await verifyFolder(folder);
    expect(report.findings).toHaveLength(1);
    expect(report.findings[0]).toMatchObject({ finding: 'changed' });
    expect(report).toMatchObject({ matches: false, weights: { matches: false }, metadata: { matches: true } });
  });

  it('notices an edited config, and a reformatted one is no edit', async () => {
    const folder = await recordedCopy();
    const config = path.join(folder, 'config.json');
    await rewrite(config, (bytes) => JSON.stringify(JSON.parse(bytes.toString())));
    expect(await verifyFolder(folder)).toMatchObject({ matches: true });
    await rewrite(config, (bytes) => JSON.stringify({ ...JSON.parse(bytes.toString()), rms_norm_eps: 0.5 }));
    expect(await verifyFolder(folder)).toMatchObject({
      matches: false,
      findings: [],
      weights: { matches: true },
      metadata: { matches: false },
      config: { matches: false },
    });
  });

  it('refuses a folder without a manifest', async () => {
    await expect(verifyFolder(sharedModel('stories260k'))).rejects.toMatchObject({ code: 'unreadable' });
  });
});
