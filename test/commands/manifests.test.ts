import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { birdbone } from '../fixtures/command-line.js';
import { makeWorkplace, writeManifest } from '../fixtures/workplace.js';

let cwd: string;
beforeEach(() => {
  cwd = makeWorkplace();
  cpSync(path.join(cwd, 'models/fledgling'), path.join(cwd, 'models/other'), { recursive: true });
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const BOTH = ['models/fledgling', 'models/other'];

/** Flips one bit near the end of a model's weights: in lm_head.weight, the last tensor. */
function damage(model: string): void {
  const file = path.join(cwd, model, 'model.safetensors');
  const bytes = readFileSync(file);
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(file, bytes);
}

describe('birdbone hash', () => {
  it('records several models, and finds the one that changed', async () => {
    expect((await birdbone(['hash', ...BOTH, '--update'], { cwd })).code).toBe(0);
    expect((await birdbone(['hash', ...BOTH, '--check'], { cwd })).code).toBe(0);
    damage('models/other');
    const { code, stdout } = await birdbone(['hash', ...BOTH, '--check', '--json'], { cwd });
    expect(code).toBe(5);
    const { findings } = JSON.parse(stdout) as { findings: { path: string; tensors: { name: string }[] }[] };
    expect(findings.map(({ path: file }) => file)).toEqual(['models/other/model.safetensors']);
    expect(findings[0]?.tensors.map(({ name }) => name)).toEqual(['lm_head.weight']);
  });

  it('prints the same hash for the same weights, one line a model', async () => {
    const { stdout } = await birdbone(['hash', ...BOTH], { cwd });
    expect(stdout).toMatch(/^([0-9a-f]{64}) {2}models\/fledgling\n\1 {2}models\/other\n$/);
  });
});

describe('birdbone verify', () => {
  it('names the tensor that changed', async () => {
    await writeManifest(path.join(cwd, 'models/other'));
    damage('models/other');
    const { code, stdout } = await birdbone(['verify', 'models/other'], { cwd });
    expect(code).toBe(5);
    expect(stdout).toContain('models/other does not match its manifest.');
    expect(stdout).toMatch(/lm_head\.weight +changed/);
  });

  it('has nothing to say of a model without a manifest', async () => {
    const { code, stderr } = await birdbone(['verify', 'models/other'], { cwd });
    expect(code).toBe(3);
    expect(stderr).toContain('birdbone hash models/other');
  });
});

describe('birdbone diff', () => {
  it('says that models are identical, or what differs, with an exit code on demand', async () => {
    const same = await birdbone(['diff', ...BOTH, '--exit-code'], { cwd });
    expect([same.code, same.stdout.includes('identical')]).toEqual([0, true]);
    damage('models/other');
    const shown = await birdbone(['diff', ...BOTH], { cwd });
    expect(shown.code).toBe(0);
    const { code, stdout } = await birdbone(['diff', ...BOTH, '--exit-code', '--json'], { cwd });
    expect(code).toBe(5);
    const { counts } = JSON.parse(stdout) as { counts: Record<string, number> };
    expect(counts['changed']).toBe(1);
  });
});
