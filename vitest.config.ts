import { defineConfig } from 'vitest/config';

/** Where CI wants the machine-readable report (.ci/run). */
const results = process.env['BIRDBONE_TEST_RESULTS'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Mesa's GPU in software compiles a shader in a quarter of the time unoptimized; ours are run once or twice.
    env: { GALLIVM_PERF: 'nopt' },
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // tfjs has one current backend for the process: files run in processes of their own, tests of one file in order.
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
