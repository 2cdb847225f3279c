import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { initRepository } from '../../../src/repository/index.js';
import { birdbone } from '../../fixtures/command-line.js';
import { GIT_ENVIRONMENT, makeGitRepository, programMissing } from '../../fixtures/git-repository.js';

const preCommitMissing = programMissing('pre-commit');
const outside = mkdtempSync(path.join(tmpdir(), 'birdbone-hook-'));
afterAll(() => rmSync(outside, { recursive: true, force: true }));

/** An environment in which `birdbone` is the built command line, as after `npm install --global`. */
function environment(): NodeJS.ProcessEnv {
  const bin = path.join(outside, 'bin');
  mkdirSync(bin);
  const program = path.join(bin, 'birdbone');
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${path.resolve('bin/run.js')}" "$@"\n`);
  chmodSync(program, 0o755);
  const PATH = `${bin}:${process.env['PATH']}`;
  return { ...process.env, ...GIT_ENVIRONMENT, HOME: outside, PRE_COMMIT_HOME: path.join(outside, 'cache'), PATH };
}

const title = 'writes a config with which pre-commit refuses a commit of unrecorded weights, and takes a recorded one';
it.skipIf(preCommitMissing !== undefined)(
  preCommitMissing === undefined ? title : `${title} (skipped: ${preCommitMissing})`,
  async () => {
    Object.assign(process.env, GIT_ENVIRONMENT);
    const repository = makeGitRepository();
    try {
      const options = { cwd: repository.root, env: environment(), encoding: 'utf8' } as const;
      await initRepository(repository.root, { spec: 'birdbone@0.1.0' });
      // Here it is the hook that counts; git-lfs may be missing.
      rmSync(path.join(repository.root, '.gitattributes'));
      execFileSync('pre-commit', ['install'], options);
      const commit = () => {
        execFileSync('git', ['add', '--all'], options);
        return spawnSync('git', ['commit', '--message', 'next'], options);
      };
      repository.write({ 'models/a.bin': 'weights' });
      const refused = commit();
      expect(refused.status).not.toBe(0);
      expect(refused.stderr + refused.stdout).toContain('models/a.bin: not recorded');
      expect((await birdbone(['hash', '--update'], { cwd: repository.root })).code).toBe(0);
      const taken = commit();
      expect(taken.status, taken.stderr + taken.stdout).toBe(0);
      expect(repository.git('ls-files', 'models/a.bin', '.weight_hashes.json').trim().split('\n')).toHaveLength(2);
    } finally {
      repository.remove();
    }
  },
);
