import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { workflow } from '../../../src/repository/init/workflow.js';
import { GIT_ENVIRONMENT, makeGitRepository } from '../../fixtures/git-repository.js';

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-workflow-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Step {
  readonly name?: string;
  readonly run?: string;
}

const steps = (parse(workflow('birdbone@0.1.0')) as { jobs: { weights: { steps: Step[] } } }).jobs.weights.steps;

/** Runs the steps that are commands, as the workflow's shell does, with programs that write down how they were called. */
function runSteps(cwd: string): string[] {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const log = path.join(folder, 'log');
  writeFileSync(log, '');
  for (const program of ['npm', 'birdbone']) {
    writeFileSync(
      path.join(bin, program),
      `#!/bin/sh\nfor word in ${program} "$@"; do printf '<%s>' "$word"; done >> ${log}\necho >> ${log}\n`,
    );
    chmodSync(path.join(bin, program), 0o755);
  }
  const env = { ...process.env, ...GIT_ENVIRONMENT, PATH: `${bin}:${process.env['PATH']}` };
  for (const { run } of steps)
    if (run !== undefined) execFileSync('bash', ['-eo', 'pipefail', '-c', run], { cwd, env });
  return execFileSync('cat', [log], { encoding: 'utf8' }).trim().split('\n');
}

it('installs birdbone, checks the hashes, and scans what git has of weights, whatever their names', () => {
  const repository = makeGitRepository();
  try {
    expect(runSteps(repository.root)).toEqual([
      '<npm><install><--global><birdbone@0.1.0>',
      '<birdbone><hash><--check>',
    ]);
    repository.write({ 'models/a b.pt': '', "it's.bin": '', 'c.safetensors': '', 'notes.txt': '' });
    repository.git('add', '--all');
    repository.write({ 'untracked.pt': '' });
    expect(runSteps(repository.root).at(-1)).toBe("<birdbone><scan><c.safetensors><it's.bin><models/a b.pt>");
  } finally {
    repository.remove();
  }
});

it('has only actions by the names of their commits', () => {
  const uses = workflow('birdbone@0.1.0').match(/uses: .*/g) ?? [];
  expect(uses).toHaveLength(2);
  for (const each of uses) expect(each).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});
