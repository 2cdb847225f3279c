import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { runDocument } from '../fixtures/doc-commands.js';
import { makeWorkplace } from '../fixtures/workplace.js';

const DOCUMENT = path.resolve('docs/weight-hash-hook.md');

it('does what docs/weight-hash-hook.md says', () => {
  const home = makeWorkplace();
  try {
    expect(runDocument(DOCUMENT, home).length).toBeGreaterThan(5);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

it('shows a hook that the repository has', () => {
  const [, shown = ''] = /```yaml\n([\s\S]*?)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  const config = parse(shown) as { repos: { hooks: { id: string; language_version: string }[] }[] };
  const offered = parse(readFileSync('.pre-commit-hooks.yaml', 'utf8')) as { id: string; language: string }[];
  expect(config.repos.flatMap(({ hooks }) => hooks.map(({ id }) => id))).toEqual(offered.map(({ id }) => id));
});
