import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createManifest,
  findManifest,
  hashCheckpoint,
  MANIFEST_FILE,
  type ManifestInput,
  manifestText,
  readManifest,
} from '../../src/manifest/index.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const digest = 'ab'.repeat(32);

async function input(changes: Partial<ManifestInput> = {}): Promise<ManifestInput> {
  const hashes = await hashCheckpoint(memoryCheckpoint({ b: f32([2, 3], [1, 2, 3, 4, 5, 6]), a: f32([2], [1, 2]) }));
  return { hashes, version: '0.1.0', architecture: 'LlamaForCausalLM', ...changes };
}

const full: Partial<ManifestInput> = {
  base: { name: '/home/somebody/models/dense', weights: digest, metadata: digest, manifest: digest },
  recipe: {
    recipe: 1,
    model: '/home/somebody/models/dense',
    out: '/home/somebody/out',
    calibration: { file: '../texts/calibration.txt', windows: 8 },
    steps: [{ do: 'prune', sparsity: 0.5 }],
  },
  seed: 7,
  versions: { node: '20.20.0' },
  measured: {
    protocol: 'windows',
    context: 256,
    data: { name: '/home/somebody/texts/test.txt', sha256: digest },
    baseline: { perplexity: 12.5 },
    result: { perplexity: Number.POSITIVE_INFINITY },
    gate: { limits: 'accuracy<3%', pass: false, reason: 'perplexity is not finite' },
  },
  waves: [
    {
      wave: 1,
      step: 0,
      target: 0.5,
      sparsity: 0.5,
      verdict: 'committed',
      reason: 'inside',
      active: true,
      figures: { accuracy: Number.NaN, perplexity: 13 },
    },
  ],
};

async function folderWith(text: string | undefined): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-manifest-'));
  if (text !== undefined) await writeFile(path.join(folder, MANIFEST_FILE), text);
  return folder;
}

describe('createManifest', () => {
  it('counts parameters and lists tensors in name order', async () => {
    const manifest = createManifest(await input());
    expect(manifest.model).toEqual({ architecture: 'LlamaForCausalLM', parameters: 8 });
    expect(manifest.tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ['a', [2]],
      ['b', [2, 3]],
    ]);
  });

  it('says what was done, not where', async () => {
    const manifest = createManifest(await input(full));
    expect(manifest.base?.name).toBe('dense');
    expect(manifest.measured?.data.name).toBe('test.txt');
    expect(manifest.recipe).toEqual({
      recipe: 1,
      model: 'dense',
      calibration: { file: 'calibration.txt', windows: 8 },
      steps: [{ do: 'prune', sparsity: 0.5 }],
    });
    expect(manifestText(manifest)).not.toContain('somebody');
  });

  it('writes figures that are not finite as null', async () => {
    const manifest = createManifest(await input(full));
    expect(manifest.measured?.result).toEqual({ perplexity: null });
    expect(manifest.waves?.[0]?.figures).toEqual({ accuracy: null, perplexity: 13 });
  });
});

describe('manifestText', () => {
  it('is the same text for the same input, with lists of numbers on a line', async () => {
    const [first, second] = [createManifest(await input(full)), createManifest(await input(full))];
    const text = manifestText(first);
    expect(manifestText(second)).toBe(text);
    expect(text.endsWith('\n}\n')).toBe(true);
    expect(text).toContain('"shape": [2, 3]');
  });

  it('leaves strings alone that look like lists', async () => {
    const version = '[\n  1,\n  2\n]';
    const manifest = createManifest(await input({ version }));
    expect((JSON.parse(manifestText(manifest)) as typeof manifest).tool.version).toBe(version);
  });
});

describe('readManifest', () => {
  it('gives back what was written, and the digest of its file', async () => {
    const manifest = createManifest(await input(full));
    const text = manifestText(manifest);
    const sha256 = createHash('sha256').update(text).digest('hex');
    expect(await readManifest(await folderWith(text))).toEqual({ manifest, sha256 });
  });

  it('keeps tensors with names that mean something to JavaScript', async () => {
    const names = ['__proto__', 'constructor'];
    const hashes = await hashCheckpoint(
      memoryCheckpoint(Object.fromEntries(names.map((name) => [name, f32([1], [1])]))),
    );
    const folder = await folderWith(manifestText(createManifest(await input({ hashes }))));
    expect((await readManifest(folder)).manifest.tensors.map(({ name }) => name)).toEqual(names);
  });

  it('refuses a folder without one and says what to do', async () => {
    const folder = await folderWith(undefined);
    expect(await findManifest(folder)).toBeUndefined();
    await expect(readManifest(folder)).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining(`has no ${MANIFEST_FILE}`),
      suggestions: [expect.stringContaining('birdbone'), expect.stringContaining(`birdbone hash ${folder} --check`)],
    });
  });

  it.each([
    ['text that is not JSON', () => '{"manifest": 1'],
    ['a newer version', (text: string) => text.replace('"manifest": 1', '"manifest": 2')],
    ['an unknown field', (text: string) => text.replace('"manifest": 1', '"manifest": 1, "extra": true')],
    ['a digest that is none', (text: string) => text.replaceAll(/[0-9a-f]{64}/g, 'abc')],
    ['an unknown dtype', (text: string) => text.replace('"F32"', '"F33"')],
    ['a tensor that is named twice', (text: string) => text.replace('"name": "b"', '"name": "a"')],
  ])('refuses %s', async (_, damage) => {
    const text = damage(manifestText(createManifest(await input())));
    await expect(readManifest(await folderWith(text))).rejects.toMatchObject({ code: 'unreadable' });
  });
});
