import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { evaluateModel } from '../../src/evaluation/index.js';
import { hashCheckpoint, readManifest, verifyFolder } from '../../src/manifest/index.js';
import { stateAfter } from '../../src/state/index.js';
import { openState, planRollback, readLog, rollbackTo, tagState } from '../../src/waves/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const GLOBS = ['*q_proj*', '*layers.0.*', '*.mlp.*', '*weight', '*{up,down}_proj*', 'model.norm.weight'];

/** Every stored tensor's bytes, as they are on disk now. */
async function bytesOf(folder: string): Promise<Map<string, Buffer>> {
  const checkpoint = await openCheckpoint(folder);
  const all = new Map<string, Buffer>();
  for (const name of checkpoint.tensors.keys()) all.set(name, Buffer.from(await checkpoint.read(name)));
  await checkpoint.close();
  return all;
}

async function digestsOf(folder: string): Promise<Map<string, string>> {
  const { manifest } = await readManifest(folder);
  return new Map(manifest.tensors.map(({ name, sha256 }) => [name, sha256]));
}

/** The model's bytes and its manifest's digests after each wave, by going there. */
async function everyState(out: string, waves: number) {
  const states = [];
  for (let wave = 0; wave <= waves; wave++) {
    await rollbackTo({ out, to: wave, diffs: at('diffs') });
    states.push({ bytes: await bytesOf(out), digests: await digestsOf(out) });
  }
  return states;
}

/** Removed weights are the zeros of this model: its random weights have none of their own. */
const zerosIn = (bytes: Buffer) => {
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return values.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
};

describe('a partial rollback', () => {
  it('is exact for each tensor, whatever came before', { timeout: 60_000 }, async () => {
    const { out, layers } = await go();
    const states = await everyState(out, 3);
    const pruned = layers.map(({ name }) => name);
    const names = [...states[0]!.bytes.keys()];
    const matching = (glob: string) => {
      const pattern = new RegExp(
        `^${glob.replaceAll('.', '\\.').replaceAll('*', '.*').replace('{up,down}', '(up|down)')}$`,
      );
      return names.filter((name) => pattern.test(name));
    };
    const globs = fc.option(fc.subarray(GLOBS, { minLength: 1, maxLength: 2 }));
    const point = fc.oneof(fc.nat(3), fc.constantFrom('x', 'y'));
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ to: point, globs }) },
      { weight: 1, arbitrary: fc.record({ tag: fc.constantFrom('x', 'y') }) },
    );
    const uniform = (wave: number) => new Map(names.map((name) => [name, wave]));
    let table = uniform(3);
    const tags = new Map<string, Map<string, number>>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 3 }), async (steps) => {
        for (const step of steps) {
          if ('tag' in step) {
            tags.set(step.tag, table);
            await tagState({ out, name: step.tag, force: true });
            continue;
          }
          const { to, globs } = step;
          const target = typeof to === 'number' ? uniform(to) : tags.get(to);
          const going = rollbackTo({ out, to, ...(globs && { tensors: globs }), diffs: at('diffs') });
          if (target === undefined) {
            await expect(going).rejects.toThrow(/has no tag/);
            continue;
          }
          await going;
          const moving = globs === null ? names : globs.flatMap(matching);
          table = new Map(names.map((name) => [name, (moving.includes(name) ? target : table).get(name)!]));
        }
        const [bytes, digests] = [await bytesOf(out), await digestsOf(out)];
        for (const [name, wave] of table) {
          expect(digests.get(name), name).toBe(states[wave]!.digests.get(name));
          expect(bytes.get(name)!.equals(states[wave]!.bytes.get(name)!), name).toBe(true);
        }
        for (const [tag, places] of tags) {
          const { checkpoint } = await openState(`${out}@${tag}`);
          const { tensors } = await hashCheckpoint(checkpoint);
          await checkpoint.close();
          for (const [name, wave] of places) expect(tensors.get(name)!.sha256).toBe(states[wave]!.digests.get(name));
        }
        const { history } = await readLog({ out });
        const elements = pruned.reduce((sum, name) => sum + bytes.get(name)!.length / 4, 0);
        const removed = pruned.reduce((sum, name) => sum + zerosIn(bytes.get(name)!), 0);
        const plan = await planRollback({ out, to: 'current' });
        expect(plan.sparsity).toEqual({ now: removed / elements, after: removed / elements });
        expect(history.waves.map(({ active }) => active)).toEqual(
          [1, 2, 3].map((wave) => pruned.some((name) => table.get(name)! >= wave)),
        );
      }),
      { numRuns: 8, seed: 20261121, endOnFailure: true },
    );
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
  });

  it('says in manifest, diff and log where each tensor stands, and gives figures that nobody measured to no one', async () => {
    const { out, result } = await go();
    expect(Object.keys(result)).toContain('accuracy');
    const mixed = await rollbackTo({ out, to: 1, tensors: ['*q_proj*'], diffs: at('diffs') });
    const names = mixed.at.tensors.map(([name]) => name);
    expect(names.length).toBeGreaterThan(1);
    expect(names.every((name) => name.includes('q_proj'))).toBe(true);
    expect(mixed).toMatchObject({ at: { wave: 3 }, result: {}, reached: false });
    const { manifest } = await readManifest(out);
    expect(manifest.measured).toBeUndefined();
    expect(manifest.mixed).toEqual({ rest: 3, tensors: names.map((name) => ({ name, wave: 1 })) });
    expect(JSON.parse(await readFile(mixed.diff.json, 'utf8'))).toMatchObject({ state: { wave: 3 } });
    const log = await readLog({ out });
    expect(log).toMatchObject({ status: 'rolled-back', history: { state: mixed.at } });
    await rollbackTo({ out, to: 3, tensors: ['*'], diffs: at('diffs') });
    const whole = await readManifest(out);
    expect(whole.manifest.mixed).toBeUndefined();
    expect(whole.manifest.measured?.result).toEqual(result);
    expect((await readLog({ out })).status).toBe('published');
  });

  it('leaves everything as it is when nothing matches, and names what is near', async () => {
    const { out } = await go();
    const before = await readFile(path.join(out, 'birdbone.json'), 'utf8');
    for (const rollback of [rollbackTo, planRollback]) {
      await expect(rollback({ out, to: 1, tensors: ['*q_prj*'], diffs: at('diffs') })).rejects.toMatchObject({
        code: 'usage',
        suggestions: expect.arrayContaining([expect.stringContaining('q_proj')]),
      });
    }
    expect(await readFile(path.join(out, 'birdbone.json'), 'utf8')).toBe(before);
    expect((await readLog({ out })).history.state).toEqual(stateAfter(3));
  });

  it('is refused when the output has gone elsewhere since the user was asked', async () => {
    const { out } = await go();
    const { from } = await planRollback({ out, to: 1 });
    await rollbackTo({ out, to: 2, diffs: at('diffs') });
    await expect(rollbackTo({ out, to: 1, from, diffs: at('diffs') })).rejects.toThrow(/elsewhere in the meantime/);
  });

  it('and when the tag has been moved since', async () => {
    const { out } = await go();
    await tagState({ out, name: 'best', at: 1 });
    const { from, target } = await planRollback({ out, to: 'best' });
    await tagState({ out, name: 'best', at: 2, force: true });
    const options = { out, to: 'best', from, target, diffs: at('diffs') };
    await expect(rollbackTo(options)).rejects.toThrow(/elsewhere in the meantime/);
    expect((await readLog({ out })).history.state).toEqual(stateAfter(3));
  });
});

describe('planRollback', () => {
  it('says what changes before it does, and what was measured of either state', async () => {
    const { out, waves, baseline } = await go();
    const plan = await planRollback({ out, to: 0 });
    expect(plan).toMatchObject({ to: 0, stays: [], goes: [1, 2, 3], returns: [], figures: { after: baseline } });
    expect(plan.figures.now).toEqual(waves[2]!.figures);
    expect(plan.sparsity).toEqual({ now: waves[2]!.sparsity, after: 0 });
    expect(plan.weightBytes.now).toBe(plan.weightBytes.after);
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    const forward = await planRollback({ out, to: 2, tensors: ['*layers.1.*'] });
    expect(forward).toMatchObject({ stays: [1, 2], goes: [], returns: [2], figures: { after: null } });
    expect(forward.changes.every((name) => name.includes('layers.1.'))).toBe(true);
    expect(forward.tensors!.matched).toBeGreaterThan(forward.changes.length);
  });
});

describe('a mix of waves that is measured', () => {
  const MIX = { to: 1, tensors: ['*q_proj*'] };
  const ownText = () => ({ evaluation: { file: at('models/fledgling/evaluation.txt'), limit: 4, context: 32 } });
  const measure = { device: 'cpu' } as const;

  it('has the figures that evaluating the published folder gives, in plan, journal, manifest and result', async () => {
    const { out } = await go(ownText());
    const before = contentsOf(at());
    const plan = await planRollback({ out, ...MIX, measure });
    expect(contentsOf(at())).toEqual(before);
    const done = await rollbackTo({ out, ...MIX, from: plan.from, measured: plan.measured!, diffs: at('diffs') });
    const { manifest } = await readManifest(out);
    expect([done.result, manifest.measured?.result]).toEqual([plan.figures.after, plan.figures.after]);
    expect(manifest.measured?.gate).toMatchObject({ pass: true, reason: plan.measured!.reason });
    const { file: data, ...text } = ownText().evaluation;
    const evaluation = await evaluateModel({ model: out, data, ...text, protocol: 'windows', seed: 0, device: 'cpu' });
    expect([evaluation.perplexity, evaluation.accuracy]).toEqual([done.result['perplexity'], done.result['accuracy']]);
    // Another state, and the same again later: figures stay with the state that they are of.
    await rollbackTo({ out, to: 2, diffs: at('diffs') });
    expect((await planRollback({ out, to: 3, tensors: ['*mlp*'] })).figures.after).toBeNull();
    await rollbackTo({ out, to: 3, diffs: at('diffs') });
    expect((await planRollback({ out, ...MIX })).figures.after).toEqual(done.result);
  });

  it('is not measured on another text, nor when the run measured nothing', async () => {
    const { out } = await go(ownText());
    await writeFile(at('models/fledgling/evaluation.txt'), 'another text. '.repeat(100));
    await expect(planRollback({ out, ...MIX, measure })).rejects.toMatchObject({ code: 'mismatch' });
    const steps = [{ do: 'prune', sparsity: 0.5, waves: 2, metric: 'magnitude' }];
    const unmeasured = await go({ steps, out: at('out/other'), calibration: undefined, evaluation: {} });
    await expect(planRollback({ out: unmeasured.out, ...MIX, measure })).rejects.toThrow(/no text to measure on/);
  });
});
