import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { collectGarbage, historyOf, Journal, lock, stateAfter, stateFolder } from '../../src/state/index.js';
import { readTags, removeTag, rollbackTo, tagState } from '../../src/waves/index.js';
import { at, go, inWorkplaces, weightsOf } from '../fixtures/runs.js';

inWorkplaces();

const tagsOf = async (out: string) => (await readTags({ out })).tags;

describe('a tag', () => {
  it('names the current state, or one that is given, and rollback goes there', async () => {
    const { out } = await go();
    const three = await weightsOf(out);
    await tagState({ out, name: 'all' });
    await tagState({ out, name: 'gentle', at: 1 });
    await tagState({ out, name: 'start', at: 'dense' });
    await tagState({ out, name: 'same', at: 'gentle' });
    expect(await tagsOf(out)).toEqual([
      { name: 'all', state: stateAfter(3) },
      { name: 'gentle', state: stateAfter(1) },
      { name: 'same', state: stateAfter(1) },
      { name: 'start', state: stateAfter(0) },
    ]);
    await rollbackTo({ out, to: 'start', diffs: at('diffs') });
    expect(await weightsOf(out)).toBe(await weightsOf(at('models/fledgling')));
    await rollbackTo({ out, to: 'all', diffs: at('diffs') });
    expect(await weightsOf(out)).toBe(three);
  });

  it('names a mix of waves too, of which some tensors can be taken', async () => {
    const { out } = await go();
    const options = { out, diffs: at('diffs') };
    const { at: mix } = await rollbackTo({ ...options, to: 1, tensors: ['*q_proj*'] });
    const mixed = await weightsOf(out);
    await tagState({ out, name: 'mix' });
    await rollbackTo({ ...options, to: 0 });
    const some = await rollbackTo({ ...options, to: 'mix', tensors: ['*q_proj*'] });
    expect(some.at).toEqual({ wave: 0, tensors: mix.tensors });
    const back = await rollbackTo({ ...options, to: 'mix' });
    expect(back.at).toEqual(mix);
    expect(await weightsOf(out)).toBe(mixed);
  });

  it('keeps its waves from gc until it is removed', async () => {
    const { out } = await go();
    const folder = stateFolder(out);
    await tagState({ out, name: 'two', at: 2 });
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    await collectGarbage(folder, { dryRun: false });
    await rollbackTo({ out, to: 'two', diffs: at('diffs') });
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    await expect(tagState({ out, name: 'three', at: 3 })).rejects.toThrow(/removed by gc/);
    expect(await removeTag({ out, name: 'two' })).toMatchObject({ state: null, before: stateAfter(2) });
    expect((await collectGarbage(folder, { dryRun: false })).length).toBeGreaterThan(0);
    await expect(rollbackTo({ out, to: 2, diffs: at('diffs') })).rejects.toThrow(/removed by gc/);
  });

  it('is refused where gc, killed under way, has removed some of what the state needs', async () => {
    const { out } = await go();
    const folder = stateFolder(out);
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    const going = await collectGarbage(folder, { dryRun: true });
    const layers = historyOf((await Journal.open(folder.journal, { repair: false })).records).waves.map(
      ({ layer }) => layer.sha256,
    );
    const delta = going.find(({ path: file }) => !layers.includes(path.basename(file)))!;
    await rm(delta.path);
    await expect(tagState({ out, name: 'all', at: 3 })).rejects.toMatchObject({ code: 'mismatch', file: delta.path });
    expect(await tagsOf(out)).toEqual([]);
    await collectGarbage(folder, { dryRun: false });
  });

  it('moves with --force only, and says the same again without complaint', async () => {
    const { out } = await go();
    await tagState({ out, name: 'best', at: 1 });
    const journal = await readFile(stateFolder(out).journal);
    await tagState({ out, name: 'best', at: 1 });
    await expect(tagState({ out, name: 'best', at: 2 })).rejects.toThrow(/There is a tag best already/);
    const would = await tagState({ out, name: 'best', at: 2, force: true, dryRun: true });
    expect(would).toMatchObject({ state: stateAfter(2), before: stateAfter(1) });
    expect(await readFile(stateFolder(out).journal)).toEqual(journal);
    await tagState({ out, name: 'best', at: 2, force: true });
    expect(await tagsOf(out)).toEqual([{ name: 'best', state: stateAfter(2) }]);
  });

  it('is no number, no point that every output has, and nothing that a shell or a path would take for something else', async () => {
    const { out } = await go();
    const names = ['', '1', '007', 'dense', 'current', 'Best', 'a b', '-x', '.x', 'a/b', 'a@b', 'x'.repeat(65)];
    for (const name of names) await expect(tagState({ out, name }), name).rejects.toThrow(/cannot be a tag/);
    for (const name of ['a', '50-percent', '2.4', 'x'.repeat(64)]) await tagState({ out, name });
    expect(await tagsOf(out)).toHaveLength(4);
  });

  it('that is not there has its neighbours named', async () => {
    const { out } = await go();
    await tagState({ out, name: 'best-so-far' });
    const name = 'best-so-fat';
    for (const work of [() => removeTag({ out, name }), () => rollbackTo({ out, to: name })]) {
      await expect(work()).rejects.toMatchObject({
        code: 'usage',
        suggestions: ['Did you mean best-so-far?', expect.any(String)],
      });
    }
    await expect(readTags({ out: at('models/fledgling') })).rejects.toThrow(/no history/);
  });

  it('waits for nobody: while another process has the output, it is refused', async () => {
    const { out } = await go();
    const release = await lock(stateFolder(out).root);
    await expect(tagState({ out, name: 'best' })).rejects.toThrow(/in use by another birdbone/);
    expect(await tagsOf(out)).toEqual([]);
    await release();
  });
});
