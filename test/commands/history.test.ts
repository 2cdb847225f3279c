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

    const back = await birdbone(['rollback', out, '--to', '1'], { cwd });
    expect(back.code, back.stderr).toBe(0);
    expect(contents()['model.safetensors']).not.toBe(published['model.safetensors']);
    expect((await birdbone(['verify', out], { cwd })).code).toBe(0);
    expect((await birdbone(['log', out], { cwd })).stdout).toMatch(/\n2 +50\.0 %.* undone/);

    const forward = await birdbone(['rollback', out, '--to', '2'], { cwd });
    expect(forward.code, forward.stderr).toBe(0);
    expect(contents()).toEqual(published);
  });

  it('has no wave that was never tried', async () => {
    const { code, stderr } = await birdbone(['rollback', out, '--to', '9'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('There is no wave 9');
  });

  it('keeps what counts when it is cleaned up, and can still go back', async () => {
    const dry = await birdbone(['gc', out, '--dry-run', '--json'], { cwd });
    const done = await birdbone(['gc', out, '--json'], { cwd });
    const { garbage } = JSON.parse(dry.stdout) as { garbage: { path: string }[] };
    expect(JSON.parse(done.stdout)).toMatchObject({ removed: true, garbage });
    expect(contents()).toEqual(published);
    expect((await birdbone(['rollback', out, '--to', '1'], { cwd })).code).toBe(0);
  });
});

it('tells a folder that no run made from one that a run did', async () => {
  const { code, stderr } = await birdbone(['log', 'models/fledgling'], { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain('There is no history of');
});
