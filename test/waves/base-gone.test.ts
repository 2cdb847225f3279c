import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { collectGarbage, stateAfter, stateFolder } from '../../src/state/index.js';
import { exportState, planRollback, type RollbackTarget, readLog, rollbackTo } from '../../src/waves/index.js';
import { at, flipLastBit, go, inWorkplaces, weightsOf } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const base = () => at('models/fledgling');
const back = (target: RollbackTarget, options: object = {}) =>
  rollbackTo({ out: at('out/half'), diffs: at('diffs'), ...target, ...options });
const everything = () => [contentsOf(at('out/half')), contentsOf(at('diffs'))];

/** Aborts once the new output is being written: the journal has the rollback, and nothing is published of it. */
function stoppedWhileWriting() {
  const stop = new AbortController();
  const report = (event: Event) => {
    if (event.type === 'progress' && event.stage === 'write') stop.abort();
  };
  return { report, signal: stop.signal };
}

describe('without the base model', () => {
  it('a rollback publishes what it would with it, byte for byte', async () => {
    await go();
    const targets: RollbackTarget[] = [{ to: 1 }, { to: 3, tensors: ['*.mlp.*'] }, { to: 0 }, { to: 2 }, { to: 3 }];
    const expected = [];
    for (const target of targets) {
      await back(target);
      expected.push(everything());
    }
    const notices: string[] = [];
    const report = (event: Event) => event.type === 'notice' && notices.push(event.message);
    await rename(base(), at('gone'));
    for (const [index, target] of targets.entries()) {
      await back(target, { report });
      expect(everything(), `target ${index}`).toEqual(expected[index]);
    }
    expect(notices).toHaveLength(targets.length);
    expect(notices[0]).toMatch(/models\/fledgling.* made again from .*out\/half/);
  });

  it('or with another in its place, a state can still be planned and exported', async () => {
    const { out } = await go();
    const dense = await weightsOf(base());
    await flipLastBit(at('models/fledgling/model.safetensors'));
    expect((await exportState({ reference: `${out}@dense`, out: at('dense') })).weights).toBe(dense);
    expect(await weightsOf(at('dense'))).toBe(dense);
    await rm(base(), { recursive: true });
    expect(await planRollback({ out, to: 1, tensors: ['*q_proj*'] })).toMatchObject({ goes: [] });
    expect((await exportState({ reference: `${out}@dense`, out: at('again') })).weights).toBe(dense);
    expect(contentsOf(at('again'))).toEqual(contentsOf(at('dense')));
  });

  it('a rollback that was interrupted can still be finished, and its dense model be had, after gc', async () => {
    const { out } = await go();
    const dense = await weightsOf(base());
    await expect(back({ to: 1 }, stoppedWhileWriting())).rejects.toMatchObject({ code: 'interrupted' });
    await collectGarbage(stateFolder(out), { dryRun: false });
    await rm(base(), { recursive: true });
    await back({ to: 1 });
    expect((await exportState({ reference: `${out}@dense`, out: at('dense') })).weights).toBe(dense);
    expect((await collectGarbage(stateFolder(out), { dryRun: false })).length).toBeGreaterThan(0);
  });

  it('goes by what is published, not by a rollback that was interrupted before it was', async () => {
    const { out } = await go();
    const three = await weightsOf(out);
    await back({ to: 2 });
    const two = everything();
    await back({ to: 3 });
    await expect(back({ to: 0 }, stoppedWhileWriting())).rejects.toMatchObject({ code: 'interrupted' });
    expect(await readLog({ out })).toMatchObject({
      history: { state: stateAfter(0), published: stateAfter(3), stale: true },
    });
    expect(await weightsOf(out)).toBe(three);
    await rm(base(), { recursive: true });
    await back({ to: 2 });
    expect(everything()).toEqual(two);
  });

  it.each([
    ['a bit of its weights', () => flipLastBit(at('out/half/model.safetensors')), /not those it was published with/],
    [
      'its config',
      async () => {
        const file = at('out/half/config.json');
        const config = JSON.parse(await readFile(file, 'utf8')) as object;
        await writeFile(file, JSON.stringify({ ...config, initializer_range: 0.5 }));
      },
      /config\.json is not the one/,
    ],
    [
      'its manifest',
      async () =>
        writeFile(
          at('out/half/birdbone.json'),
          await readFile(at('out/half/birdbone.json')).then((text) => `${text} `),
        ),
      /manifest is not the one/,
    ],
    ['everything', () => rm(at('out/half'), { recursive: true }), /nothing is published/],
  ])('and with %s in the output changed, it refuses and touches nothing', async (_, damage, reason) => {
    await go();
    await rm(base(), { recursive: true });
    await damage();
    const before = contentsOf(at());
    await expect(back({ to: 1 })).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringMatching(new RegExp(`models/fledgling.* does not give it back either: .*${reason.source}`)),
    });
    expect(contentsOf(at())).toEqual(before);
  });
});

describe('a rollback that is interrupted', () => {
  it('after its record is finished by the next, whichever it is, and by --resume', async () => {
    const { out } = await go();
    await back({ to: 1, tensors: ['*q_proj*'] });
    const mixed = everything();
    for (const finish of [() => back({ to: 1, tensors: ['*q_proj*'] }), () => go({}, { resume: true })]) {
      await back({ to: 3 });
      await expect(back({ to: 1, tensors: ['*q_proj*'] }, stoppedWhileWriting())).rejects.toMatchObject({
        code: 'interrupted',
      });
      expect((await readLog({ out })).status).toBe('unpublished');
      await finish();
      expect(everything()).toEqual(mixed);
    }
  });
});
