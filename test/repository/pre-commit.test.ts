import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { GIT_ENVIRONMENT, makeGitRepository, programMissing } from '../fixtures/git-repository.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { useLfs, type WeightsRepository, weights, weightsRepository } from '../fixtures/weights-repository.js';

const checkout = path.resolve('.');
const missing = programMissing('pre-commit') ?? programMissing('git-lfs');

/** Runs a program in a repository with the real pre-commit, whose environments lie in a folder of their own. */
function runner(repository: WeightsRepository) {
  const home = temporaryFolder();
  const env = {
    ...process.env,
    ...GIT_ENVIRONMENT,
    PRE_COMMIT_HOME: home,
    XDG_RUNTIME_DIR: '/tmp',
    // The packages are those that this checkout was installed with.
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
  };
  return (program: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: repository.root, env, encoding: 'utf8' });
    return { status, output: `${stdout}${stderr}` };
  };
}

/** A commit of weights is refused until .weight_hashes.json says what they are. */
async function expectGuarded(repository: WeightsRepository, config: string): Promise<void> {
  const run = runner(repository);
  useLfs(repository);
  repository.write({ '.pre-commit-config.yaml': config });
  const installed = run('pre-commit', 'install', '--install-hooks');
  expect(installed.status, installed.output).toBe(0);
  const commit = () => {
    repository.git('add', '--all');
    return run('git', 'commit', '--quiet', '-m', 'weights');
  };
  repository.write({ 'm/a.safetensors': weights({ a: [1, 2, 3, 4] }), 'm/b.bin': 'in git itself' });
  expect(commit()).toEqual({ status: 1, output: expect.stringContaining('m/a.safetensors: not recorded') });
  await repository.update();
  const passed = commit();
  expect(passed.status, passed.output).toBe(0);

  repository.write({ 'm/a.safetensors': weights({ a: [1, 2, 3, 5] }) });
  expect(commit()).toEqual({
    status: 1,
    output: expect.stringMatching(/a {2}changed {2}F32 \[4\] {2}relative error 0\.183/),
  });
  await repository.update();
  expect(commit().status).toBe(0);
  // No file of this commit is a weight: pre-commit runs the hook all the same.
  repository.git('rm', '--quiet', 'm/b.bin');
  expect(commit()).toEqual({ status: 1, output: expect.stringContaining('m/b.bin: recorded, and not there') });
  await repository.update();
  expect(commit().status).toBe(0);
}

describe.skipIf(missing !== undefined)(`pre-commit (${missing ?? 'the real one'})`, () => {
  it('runs the birdbone that is installed, as a local hook', async () => {
    await expectGuarded(
      weightsRepository(),
      `repos:
  - repo: local
    hooks:
      - id: birdbone
        name: weights
        entry: '"${process.execPath}" "${path.join(checkout, 'bin/run.js')}" hash --check --staged --quiet'
        language: system
        always_run: true
        pass_filenames: false
`,
    );
  });

  const skipped = process.env['CI'] === undefined ? 'takes minutes, so only with CI=1' : programMissing('npm', 'ping');
  it.skipIf(skipped !== undefined)(
    `installs birdbone from its repository (${skipped ?? 'with npm'})`,
    async () => {
      const source = snapshotOfCheckout();
      await expectGuarded(
        weightsRepository(),
        `repos:
  - repo: file://${source.root}
    rev: ${source.git('rev-parse', 'HEAD').trim()}
    hooks:
      - id: birdbone-weight-hashes
        language_version: system
`,
      );
      source.remove();
    },
    20 * 60_000,
  );
});

/** What is in this checkout now, committed: the tests are not about the last commit. */
function snapshotOfCheckout() {
  const source = makeGitRepository();
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: checkout,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  for (const name of listed.stdout.split('\0').filter((file) => file !== '' && existsSync(path.join(checkout, file)))) {
    const to = path.join(source.root, name);
    mkdirSync(path.dirname(to), { recursive: true });
    copyFileSync(path.join(checkout, name), to);
  }
  source.commit('snapshot');
  return source;
}

it('tells pre-commit the same endings of files as birdbone has', async () => {
  const { WEIGHT_SUFFIXES } = await import('../../src/repository/weight-path.js');
  const hooks = readFileSync('.pre-commit-hooks.yaml', 'utf8');
  const [, files = ''] = /^ {2}files: \(\?i\)(.*)$/m.exec(hooks) ?? [];
  const pattern = new RegExp(files, 'i');
  for (const suffix of WEIGHT_SUFFIXES) expect(`models/a${suffix}`).toMatch(pattern);
  expect('.weight_hashes.json').toMatch(pattern);
  expect('models/config.json').not.toMatch(pattern);
});
