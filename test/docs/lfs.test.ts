import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { mergePreCommitConfig } from '../../src/repository/init/pre-commit-config.js';
import { runDocument } from '../fixtures/doc-commands.js';
import { programMissing } from '../fixtures/git-repository.js';
import { makeWorkplace } from '../fixtures/workplace.js';

const DOCUMENT = path.resolve('docs/lfs.md');
const lfsMissing = programMissing('git', 'lfs', 'version');

it.skipIf(lfsMissing !== undefined)(
  `does what docs/lfs.md says${lfsMissing === undefined ? '' : ` (skipped: ${lfsMissing})`}`,
  () => {
    const home = makeWorkplace();
    try {
      expect(runDocument(DOCUMENT, home).length).toBeGreaterThan(4);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
);

it('shows the hook that init writes', async () => {
  const [, shown = ''] = /```yaml\n([\s\S]*?)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  const { text } = await mergePreCommitConfig('');
  expect(parse(shown)).toEqual(parse(text).repos);
});
