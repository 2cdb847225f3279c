import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { diffCheckpoints, hashCheckpoint, readManifest, verifyFolder } from '../../src/manifest/index.js';
import { stateFolder } from '../../src/state/index.js';
import { exportState, openState, rollbackTo, tagState } from '../../src/waves/index.js';
import { parseReference } from '../../src/waves/reference.js';
import { at, flipLastBit, go, inWorkplaces, weightsOf } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

async function weightsAt(reference: string): Promise<string> {
  const { checkpoint } = await openState(reference);
  const { weights } = await hashCheckpoint(checkpoint);
  await checkpoint.close();
  return weights;
}

/** How many files below a folder this process holds open. */
const openBelow = (folder: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    const link = `/proc/self/fd/${fd}`;
    return lstatSync(link, { throwIfNoEntry: false }) !== undefined && readlinkSync(link).startsWith(folder);
  }).length;

describe('a reference', () => {
  it.each([
    ['out/half@3', { kind: 'state', out: 'out/half', point: '3' }],
    ['a@b/c@dense', { kind: 'state', out: 'a@b/c', point: 'dense' }],
    ['out/half@a@b', { kind: 'state', out: 'out/half@a', point: 'b' }],
    ['a@b/model', { kind: 'path', path: 'a@b/model' }],
    ['@3', { kind: 'path', path: '@3' }],
    ['out/half@', { kind: 'path', path: 'out/half@' }],
    ['out/half', { kind: 'path', path: 'out/half' }],
  ])('%s', (text, reference) => {
    expect(parseReference(text)).toEqual(reference);
  });

  it('to a path that exists is that path, whatever its name', async () => {
    const { out } = await go();
    await cp(at('models/fledgling'), `${out}@1`, { recursive: true });
    expect(parseReference(`${out}@1`)).toEqual({ kind: 'path', path: `${out}@1` });
    expect(await weightsAt(`${out}@1`)).toBe(await weightsOf(at('models/fledgling')));
  });
});

describe('openState', () => {
  it('reads each state as the rollback to it publishes it, and closes all it opened', async () => {
    const { out } = await go();
    const before = openBelow(at());
    const seen = [];
    for (const point of ['dense', '1', '2', '3', 'current']) seen.push(await weightsAt(`${out}@${point}`));
    expect(openBelow(at())).toBe(before);
    expect(seen[4]).toBe(seen[3]);
    expect(seen[0]).toBe(await weightsOf(at('models/fledgling')));
    for (const wave of [0, 1, 2, 3]) {
      await rollbackTo({ out, to: wave, diffs: at('diffs') });
      expect(await weightsOf(out)).toBe(seen[wave]);
      expect(await weightsAt(`${out}@current`)).toBe(seen[wave]);
    }
    const { at: mix } = await rollbackTo({ out, to: 1, tensors: ['*.mlp.*'], diffs: at('diffs') });
    await tagState({ out, name: 'mix' });
    expect(mix.tensors.length).toBeGreaterThan(0);
    const mixed = await weightsOf(out);
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect(await weightsAt(`${out}@mix`)).toBe(mixed);
  });

  it('refuses what is not there, and a base or layer that is no longer the run’s', async () => {
    const { out } = await go();
    await expect(openState(`${out}@9`)).rejects.toThrow(/waves 1 to 3/);
    await expect(openState(`${out}@curent`)).rejects.toMatchObject({
      code: 'usage',
      suggestions: expect.arrayContaining(['Did you mean current?']),
    });
    await expect(openState(at('models/fledgling@1'))).rejects.toThrow(/no history/);
    await expect(openState(at('nowhere'))).rejects.toMatchObject({ code: 'unreadable' });
    const before = openBelow(at());
    await flipLastBit(at('models/fledgling/model.safetensors'));
    await rename(out, `${out}-away`);
    await expect(openState(`${out}@1`)).rejects.toMatchObject({ code: 'mismatch' });
    expect(openBelow(at())).toBe(before);
  });

  it('lets two states be compared', async () => {
    const { out } = await go();
    const [one, two] = [await openState(`${out}@1`), await openState(`${out}@2`)];
    const diff = await diffCheckpoints(one.checkpoint, two.checkpoint, {
      names: { before: one.name, after: two.name },
    });
    await one.checkpoint.close();
    await two.checkpoint.close();
    expect(diff).toMatchObject({ identical: false, before: { name: 'half@1' }, after: { name: 'half@2' }, fields: [] });
    expect(diff.counts.changed).toBeGreaterThan(0);
    const sparser = diff.tensors.filter(({ status }) => status === 'changed');
    expect(sparser.every(({ values }) => values!.sparsityAfter > values!.sparsityBefore)).toBe(true);
  });
});

describe('exportState', () => {
  it('writes what a rollback would publish, byte for byte, and does not touch the run', async () => {
    const { out } = await go();
    const run = contentsOf(at('out'));
    const would = await exportState({ reference: `${out}@1`, out: at('else/where/one'), dryRun: true });
    expect(existsSync(at('else'))).toBe(false);
    const done = await exportState({ reference: `${out}@1`, out: at('else/where/one') });
    expect(done).toEqual(would);
    expect(contentsOf(at('out'))).toEqual(run);
    expect(await verifyFolder(done.out)).toMatchObject({ matches: true });
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    expect(contentsOf(done.out)).toEqual(contentsOf(out));
    const { manifest } = await readManifest(done.out);
    expect(manifest).toMatchObject({
      base: { name: 'fledgling' },
      waves: [{ active: true }, { active: false }, { active: false }],
    });
    expect(manifest.weights).toBe(done.weights);
  });

  it('takes an output for its current state, and no other folder', async () => {
    const { out } = await go();
    expect((await exportState({ reference: out, out: at('copy') })).name).toBe('half@current');
    expect(contentsOf(at('copy'))).toEqual(contentsOf(out));
    await expect(exportState({ reference: at('models/fledgling'), out: at('other') })).rejects.toThrow(
      /no state of a run/,
    );
    await expect(exportState({ reference: `${out}@1`, out: at('copy') })).rejects.toThrow(/exists already/);
    await expect(exportState({ reference: `${out}@1`, out })).rejects.toThrow(/exists already/);
  });

  it('leaves nothing when it is interrupted', async () => {
    const { out } = await go();
    const stop = new AbortController();
    const report = ({ type, stage }: { type: string; stage?: string }) => {
      if (type === 'progress' && stage === 'write') stop.abort();
    };
    const before = contentsOf(at());
    const exporting = exportState({ reference: `${out}@1`, out: at('new/one'), report, signal: stop.signal });
    await expect(exporting).rejects.toMatchObject({ code: 'interrupted' });
    expect(contentsOf(at())).toEqual(before);
  });

  it('works from a state folder of the user’s choice', async () => {
    await mkdir(at('elsewhere'));
    const { out } = await go({}, { state: at('elsewhere/state') });
    expect(existsSync(stateFolder(out).journal)).toBe(false);
    const done = await exportState({ reference: `${out}@2`, out: at('two'), state: at('elsewhere/state') });
    await rm(out, { recursive: true });
    expect(path.basename(done.manifest)).toBe('birdbone.json');
    expect(readFileSync(done.manifest, 'utf8')).toContain('"active": true');
  });
});
