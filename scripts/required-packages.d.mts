import type { Plugin } from 'vitest/config';

/** Loads packages of CommonJS by `require` where tests import them. */
export const requiredPackagesInTests: Plugin;
