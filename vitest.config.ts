import path from 'node:path';
import { globSync } from 'tinyglobby';
import { defineConfig } from 'vitest/config';
import { withDirectImports } from './scripts/direct-imports.mjs';
import { requiredPackagesInTests } from './scripts/required-packages.mjs';
import { byProcess } from './test/suite/process-sharing.js';
import { SlowFirst } from './test/suite/slow-first.js';

/** Where CI wants the machine-readable report (.ci/run). */
const results = process.env['BIRDBONE_TEST_RESULTS'];

const root = import.meta.dirname;
const files = globSync('test/**/*.test.ts', { cwd: root, absolute: true, ignore: '**/node_modules/**' });
const { together, apart } = byProcess(files.map((file) => path.normalize(file)));
const named = (paths: readonly string[]) => paths.map((file) => path.relative(root, file).replaceAll(path.sep, '/'));

export default defineConfig({
  plugins: [
    requiredPackagesInTests,
    {
      // As in the package (scripts/bundle-code.mjs): a test file loads what it needs, not all that a folder has.
      name: 'direct-imports',
      enforce: 'pre',
      transform: (code: string, id: string) =>
        /\/(src|test)\/.*\.ts$/.test(id) ? { code: withDirectImports(code, id), map: null } : undefined,
    },
  ],
  test: {
    projects: [
      // tfjs has one current backend for the process: files run in processes of their own, tests of one file in order.
      { extends: true, test: { name: 'apart', include: named(apart) } },
      // To start a process and load what a file imports takes longer than most of these files do.
      { extends: true, test: { name: 'together', include: named(together), isolate: false } },
    ],
    sequence: { sequencer: SlowFirst },
    // Mesa's GPU in software compiles a shader in a quarter of the time unoptimized; ours are run once or twice.
    env: { GALLIVM_PERF: 'nopt' },
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // Vitest would leave one core idle, half of a small machine.
    maxWorkers: '100%',
    reporters: results === undefined ? ['default'] : ['default', 'json'],
    ...(results !== undefined && { outputFile: { json: results } }),
    coverage: {
      provider: 'v8',
      include: ['src/**'],
      thresholds: { 'src/{importance,sparsity}/**': { lines: 95 } },
    },
  },
});
