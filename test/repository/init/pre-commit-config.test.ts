import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { mergePreCommitConfig } from '../../../src/repository/init/pre-commit-config.js';

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-pre-commit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Config {
  readonly repos: readonly { readonly repo: string; readonly hooks: readonly { readonly id: string }[] }[];
}

const HOOK = {
  repo: 'local',
  hooks: [
    {
      id: 'birdbone-weight-hashes',
      name: 'weights are what .weight_hashes.json says',
      entry: 'birdbone hash --check --staged --quiet',
      language: 'system',
      always_run: true,
      pass_filenames: false,
    },
  ],
};

const RUFF = '- repo: https://github.com/astral-sh/ruff-pre-commit\n  rev: v0.5.0\n  hooks:\n  - id: ruff\n';
const OTHER = `repos:\n${RUFF}`;

describe('mergePreCommitConfig', () => {
  it('writes a config of its own where there is none', async () => {
    const { text, conflicts } = await mergePreCommitConfig('');
    expect(conflicts).toEqual([]);
    expect(parse(text)).toEqual({ repos: [HOOK] });
    expect(await mergePreCommitConfig(text)).toEqual({ text, conflicts: [] });
  });

  it.each([
    ['lists without indentation', OTHER],
    ['indented lists', OTHER.replaceAll(/^(?!repos)/gm, '    ').trimEnd()],
    ['CRLF', OTHER.replaceAll('\n', '\r\n')],
    ['no last line end', OTHER.trimEnd()],
    ['keys behind the list', `minimum_pre_commit_version: 3.0.0\n${OTHER}# about ci\nci:\n  autofix_prs: false\n`],
    ['comments within and behind', `# top\nrepos:  # all\n${RUFF}  # - id: off\n\n# end\n`],
    ['a document mark', `---\n${OTHER}`],
    ['anchors', `x: &x [a, b]\n${OTHER}    args: *x\n`],
    [
      'a text block at the end',
      `repos:\n- repo: local\n  hooks:\n  - id: a\n    entry: |\n      one\n      two\nfail_fast: true\n`,
    ],
  ])('adds the hook to a config with %s, and changes no line of it', async (_what, before) => {
    const { text, conflicts } = await mergePreCommitConfig(before);
    expect(conflicts).toEqual([]);
    const [was, is] = [parse(before) as Config, parse(text) as Config];
    expect(is).toEqual({ ...was, repos: [...was.repos, HOOK] });
    const lines = text.split('\n');
    const begin = lines.findIndex((line) => line.includes('# >>> birdbone'));
    const end = lines.findIndex((line) => line.includes('# <<< birdbone'));
    const rest = lines.toSpliced(begin, end - begin + 1).join('\n');
    expect(rest.trimEnd()).toBe(before.trimEnd());
    expect(await mergePreCommitConfig(text)).toEqual({ text, conflicts: [] });
  });

  it.each([
    ['by its id', 'repos:\n- repo: https://example.org/birdbone\n  rev: v1\n  hooks: [{id: birdbone-weight-hashes}]\n'],
    [
      'by its entry',
      'repos:\n- repo: local\n  hooks:\n  - {id: w, entry: npx birdbone hash --check, language: system}\n',
    ],
  ])('knows a hook of ours %s', async (_how, text) => {
    expect(await mergePreCommitConfig(text)).toEqual({ text, conflicts: [] });
  });

  it.each([
    ['a flow list', 'repos: []\n', 'has no block list "repos"'],
    ['no list', 'ci: {}\n', 'has no block list "repos"'],
    ['what is no YAML', 'repos: [\n', 'is not readable'],
    ['brackets without end', '['.repeat(10_000), 'is not readable'],
  ])('leaves %s as it is, and says so', async (_what, text, problem) => {
    const merged = await mergePreCommitConfig(text);
    expect(merged.text).toBe(text);
    expect(merged.conflicts).toHaveLength(1);
    expect(merged.conflicts[0]?.what).toContain(problem);
    expect(parse(merged.conflicts[0]?.fix.split(/: (?=-)/)[1] ?? '')).toEqual([HOOK]);
  });

  const preCommitMissing = missing('pre-commit');
  it.skipIf(preCommitMissing !== undefined)(`is valid to pre-commit itself${preCommitMissing ?? ''}`, async () => {
    for (const before of ['', OTHER]) {
      const file = path.join(folder, '.pre-commit-config.yaml');
      writeFileSync(file, (await mergePreCommitConfig(before)).text);
      execFileSync('pre-commit', ['validate-config', file], { cwd: folder });
    }
  });
});

/** Why a program cannot be run here, for a skipped test's name. */
function missing(program: string): string | undefined {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return ` (skipped: ${program} is not installed)`;
  }
}
