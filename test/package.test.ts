import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { birdbone } from './fixtures/command-line.js';

describe('the package', () => {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--silent'], { encoding: 'utf8' }),
  ) as [{ files: { path: string }[] }];
  const files = packed.files.map((file) => file.path);

  it('has what a user needs to run the first command of the README', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'bin/run.js',
        'configs/half.json',
        'dist/cli/main.js',
        'dist/commands/prune.js',
        'dist/index.d.ts',
        'dist/vendor/tfjs-gradients.js',
        'models/fledgling/calibration.txt',
        'models/fledgling/model.safetensors',
        'oclif.manifest.json',
      ]),
    );
  });

  it('has nothing else', () => {
    const folders = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
    expect([...folders].sort()).toEqual(['bin', 'configs', 'dist', 'models']);
    expect(files.filter((file) => /\.(test|bench)\.|\.tmp$/.test(file))).toEqual([]);
  });
});

/** The URLs of all modules that a command loads. */
async function modulesLoadedBy(...args: string[]): Promise<string[]> {
  // Node's coverage names every module that was loaded.
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-modules-'));
  try {
    const ending = await birdbone(args, { env: { NODE_V8_COVERAGE: folder } });
    expect(ending.code, ending.stderr).toBe(0);
    const reports = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
    return reports.flatMap((report) =>
      (JSON.parse(report) as { result: { url: string }[] }).result.map(({ url }) => url),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const packagesOf = (urls: readonly string[]): string[] => [
  ...new Set(urls.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])),
];

describe('--help', () => {
  it('loads the frame of the command line and nothing of the engine', async () => {
    const urls = await modulesLoadedBy('--help');
    const ours = urls.filter((url) => !url.includes('node_modules'));
    const own = ours.flatMap((url) => /\/(dist\/.*|bin\/run\.js)$/.exec(url)?.[1] ?? []);
    expect(own).toEqual(expect.arrayContaining(['bin/run.js', 'dist/cli/main.js']));
    // What it shares with commands (errors, how they are printed) is a few kilobytes; a chunk of the engine is many.
    const bytes = own.reduce((sum, file) => sum + statSync(file).size, 0);
    expect(bytes).toBeLessThan(24_000);
    const packages = packagesOf(urls);
    for (const heavy of ['@tensorflow/tfjs-core', 'zod', 'onnxruntime-node', 'webgpu', '@huggingface/tokenizers']) {
      expect(packages).not.toContain(heavy);
    }
    expect(packages).toContain('@oclif/core');
  });
});

describe('commands about files', () => {
  // A git hook runs before each commit: what it loads is what a user waits for.
  it('load nothing that computes', async () => {
    const urls = await modulesLoadedBy('hash', 'models/fledgling');
    expect(urls).toContainEqual(expect.stringMatching(/dist\/commands\/hash\.js$/));
    for (const heavy of ['@tensorflow/tfjs-core', 'onnxruntime-node', 'webgpu', '@huggingface/tokenizers']) {
      expect(packagesOf(urls)).not.toContain(heavy);
    }
  });
});
