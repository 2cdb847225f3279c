import { rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { runDocument } from '../fixtures/doc-commands.js';
import { makeWorkplace } from '../fixtures/workplace.js';

it('does what docs/dvc.md says', () => {
  const home = makeWorkplace();
  try {
    expect(runDocument(path.resolve('docs/dvc.md'), home)).toHaveLength(2);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
