import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { birdbone } from '../fixtures/command-line.js';
import { contentsOf, makeWorkplace } from '../fixtures/workplace.js';

let cwd: string;
let published: Record<string, string>;
const out = 'out/half';
const contents = (): Record<string, string> => contentsOf(path.join(cwd, out));

beforeAll(async () => {
  cwd = makeWorkplace();
  const ending = await birdbone(['run', 'configs/half.json', '--device', 'cpu'], { cwd });
  expect(ending.code, ending.stderr).toBe(0);
  published = contents();
}, 120_000);
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

describe('a run that is over', () => {
  it('is told by log: each wave, its sparsity and its verdict', async () => {
    const { stdout } = await birdbone(['log', out], { cwd });
    expect(stdout).toMatch(/status +published: every target reached/);
    expect(stdout).toMatch(/\n1 +43\.\d %.* kept/);
    expect(stdout).toMatch(/\n2 +50\.0 %.* kept/);
  });

  it('is not run over: a second run needs --restart', async () => {
    const { code, stderr } = await birdbone(['run', 'configs/half.json', '--device', 'cpu'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('--restart');
    expect(contents()).toEqual(published);
  });

  it('goes back to a wave, and forward to the very same bytes', async () => {
    const plan = await birdbone(['rollback', out, '--to', '1', '--dry-run', '--json'], { cwd });
    expect(JSON.parse(plan.stdout)).toMatchObject({ to: 1, stays: [1], goes: [2] });
    expect(contents()).toEqual(published);

    const back = await birdbone(['rollback', out, '--to', '1', '--yes'], { cwd });
    expect(back.code, back.stderr).toBe(0);
    expect(contents()['model.safetensors']).not.toBe(published['model.safetensors']);
    expect((await birdbone(['verify', out], { cwd })).code).toBe(0);
    expect((await birdbone(['log', out], { cwd })).stdout).toMatch(/\n2 +50\.0 %.* undone/);

    const forward = await birdbone(['rollback', out, '--to', '2', '--yes'], { cwd });
    expect(forward.code, forward.stderr).toBe(0);
    expect(contents()).toEqual(published);
  });

  it('has no wave that was never tried', async () => {
    const { code, stderr } = await birdbone(['rollback', out, '--to', '9'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('There is no wave 9');
  });

  it('goes nowhere without a yes, from whoever might have said it', async () => {
    for (const flags of [[], ['--json']]) {
      const { code, stdout, stderr } = await birdbone(['rollback', out, '--to', '1', ...flags], { cwd });
      expect(code).toBe(2);
      expect(stdout + stderr).toContain('--yes');
    }
    expect(contents()).toEqual(published);
  });

  // script(1) of util-linux gives a command a terminal.
  it.skipIf(process.platform !== 'linux')('asks on a terminal, and takes no for an answer', async () => {
    const entry = path.resolve(import.meta.dirname, '../../bin/run.js');
    const command = `${process.execPath} ${entry} rollback ${out} --to 1`;
    const answered = (answer: string) =>
      spawnSync('script', ['-qec', command, '/dev/null'], { cwd, input: `${answer}\n`, encoding: 'utf8' });
    const no = answered('n');
    expect(no.status, no.stdout).toBe(130);
    expect(no.stdout).toMatch(/wave 2 → wave 1.*Go there\? \[y\/N\].*Nothing was changed/s);
    expect(contents()).toEqual(published);
    const yes = answered('y');
    expect(yes.status, yes.stdout).toBe(0);
    expect(contents()).not.toEqual(published);
    expect((await birdbone(['rollback', out, '--to', '2', '--yes'], { cwd })).code).toBe(0);
    expect(contents()).toEqual(published);
  });

  it('goes back with some tensors, to a tag, and shows what that changes', async () => {
    const tag = await birdbone(['tag', out, 'gentle', '--at', '1', '--json'], { cwd });
    expect(JSON.parse(tag.stdout)).toMatchObject({ name: 'gentle', state: { wave: 1 } });
    const some = ['rollback', out, '--to', 'gentle', '--tensors', '*q_proj*', '--yes', '--json'];
    const mixed = JSON.parse((await birdbone(some, { cwd })).stdout) as { impact: { changes: string[]; tag: string } };
    expect(mixed.impact.tag).toBe('gentle');
    expect(mixed.impact.changes.length).toBeGreaterThan(0);
    expect((await birdbone(['verify', out], { cwd })).code).toBe(0);
    const none = await birdbone(['rollback', out, '--to', '1', '--tensors', '*q_prj*', '--yes'], { cwd });
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('q_proj')]);
    const back = await birdbone(['rollback', out, '--to', '2', '--yes'], { cwd });
    expect(back.stdout).toContain('not measured →');
    expect(contents()).toEqual(published);
  });

  it('keeps what counts when it is cleaned up, and can still go back', async () => {
    const dry = await birdbone(['gc', out, '--dry-run', '--json'], { cwd });
    const done = await birdbone(['gc', out, '--json'], { cwd });
    const { garbage } = JSON.parse(dry.stdout) as { garbage: { path: string }[] };
    expect(JSON.parse(done.stdout)).toMatchObject({ removed: true, garbage });
    expect(contents()).toEqual(published);
    expect((await birdbone(['rollback', out, '--to', '1', '--yes'], { cwd })).code).toBe(0);
  });
});

it('tells a folder that no run made from one that a run did', async () => {
  const { code, stderr } = await birdbone(['log', 'models/fledgling'], { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain('There is no history of');
});
