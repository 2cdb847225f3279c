import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    // tfjs has one current backend for the process: files run in processes of their own, tests of one file in order.
    pool: 'forks',
  },
});
