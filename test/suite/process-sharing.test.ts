import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { byProcess } from './process-sharing.js';

const root = mkdtempSync(path.join(tmpdir(), 'birdbone-sharing-'));
afterAll(() => rmSync(root, { recursive: true }));

const FILES = {
  'engine/index.ts': "export { compute } from './compute.js';\nexport { SIZES, type Size } from './sizes.js';\n",
  'engine/compute.ts': "import {\n  add,\n  tidy,\n} from '@tensorflow/tfjs-core';\n",
  'engine/sizes.ts': "import type { Tensor } from '@tensorflow/tfjs-core';\nexport const SIZES = [1];\n",
  'engine/registry.ts': "export const load = () => import('./compute.js');\n",
  // Two files that import each other: the way through them ends all the same.
  'engine/a.ts': "import { b } from './b.js';\n",
  'engine/b.ts': "import { a } from './a.js';\nimport { compute } from './compute.js';\n",
};

const TESTS: Readonly<Record<string, readonly [code: string, alone: boolean]>> = {
  'computes.test.ts': ["import { compute } from './engine/index.js';", true],
  'knows-sizes-first.test.ts': ["import { SIZES, compute } from './engine/index.js';", true],
  'knows-sizes.test.ts': ["import { SIZES, type Size } from './engine/index.js';", false],
  'names-types.test.ts': ["import type { Tensor } from '@tensorflow/tfjs-core';", false],
  'loads-later.test.ts': ["import { load } from './engine/registry.js';", true],
  'loads-itself.test.ts': ["const { compute } = await import('./engine/compute.js');", true],
  'for-its-effects.test.ts': ["import '@tensorflow/tfjs-backend-cpu';", true],
  'in-a-circle.test.ts': ["import { a } from './engine/a.js';", true],
  'weighs-itself.test.ts': ['const before = process.memoryUsage().rss;', true],
  'has-packages.test.ts': ["import { expect } from 'vitest';\nimport path from 'node:path';", false],
};

describe('byProcess', () => {
  for (const [name, text] of [
    ...Object.entries(FILES),
    ...Object.entries(TESTS).map(([name, [code]]) => [name, code]),
  ]) {
    mkdirSync(path.dirname(path.join(root, name!)), { recursive: true });
    writeFileSync(path.join(root, name!), text!);
  }
  const { together, apart } = byProcess(Object.keys(TESTS).map((name) => path.join(root, name)));

  it.each(Object.entries(TESTS))('%s', (name, [, alone]) => {
    expect(apart.includes(path.join(root, name))).toBe(alone);
    expect(together.includes(path.join(root, name))).toBe(!alone);
  });
});
