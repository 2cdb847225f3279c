import { describe, expect, it } from 'vitest';
import { Journal, stateFolder } from '../../src/state/index.js';
import { type LogEntry, readLog, removeTag, rollbackTo, tagState } from '../../src/waves/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

const kinds = (entries: readonly LogEntry[]) =>
  entries.map((entry) => (entry.kind === 'wave' ? `wave ${entry.wave}` : entry.kind));

describe('readLog', () => {
  it('tells waves, rollbacks and tags as they came, and lets a filter through what it names', async () => {
    const { out } = await go();
    await tagState({ out, name: 'all' });
    await rollbackTo({ out, to: 1, tensors: ['*q_proj*'], diffs: at('diffs') });
    await removeTag({ out, name: 'all' });
    await rollbackTo({ out, to: 'dense', diffs: at('diffs') });
    const all = await readLog({ out });
    expect(kinds(all.entries)).toEqual(['wave 1', 'wave 2', 'wave 3', 'tag', 'rollback', 'tag', 'rollback']);
    expect(all.records.length).toBeGreaterThan(all.entries.length);
    const filtered = async (filter: object) => kinds((await readLog({ out, ...filter })).entries);
    expect(await filtered({ command: 'rollback' })).toEqual(['rollback', 'rollback']);
    expect(await filtered({ command: 'tag' })).toEqual(['tag', 'tag']);
    expect(await filtered({ command: 'prune', limit: 2 })).toEqual(['wave 2', 'wave 3']);
    expect(await filtered({ verdict: 'committed' })).toEqual(['wave 1', 'wave 2', 'wave 3']);
    expect(await filtered({ verdict: 'rolled-back' })).toEqual([]);
    expect(await filtered({ limit: 100 })).toHaveLength(7);
    expect(await filtered({ since: '2000-01-01' })).toHaveLength(7);
    expect(await filtered({ since: '2999-01-01T00:00Z' })).toEqual([]);
    expect(await filtered({ since: all.entries[4]!.at })).toEqual(kinds(all.entries.slice(4)));
    const records = (await readLog({ out, command: 'rollback' })).records;
    expect(records.map(({ type }) => type)).toEqual(['rollback', 'rollback']);
  });

  it('tells of a tensor which waves and rollbacks changed it, and how far', async () => {
    const { out, waves } = await go();
    await rollbackTo({ out, to: 1, tensors: ['*layers.0*q_proj*'], diffs: at('diffs') });
    await rollbackTo({ out, to: 0, tensors: ['*mlp*'], diffs: at('diffs') });
    const { entries } = await readLog({ out, tensors: ['*layers.0*q_proj*'] });
    expect(kinds(entries)).toEqual(['wave 1', 'wave 2', 'wave 3', 'rollback']);
    const steps = entries.map(({ tensors }) => tensors);
    expect(steps.every((tensors) => tensors.length === 1 && tensors[0]!.name.includes('q_proj'))).toBe(true);
    const [one, two, three, back] = steps.map((tensors) => tensors[0]!);
    // Within a row every matrix gives up the same share, so each tensor's sparsity is the wave's, but for rounding.
    expect(one).toMatchObject({ before: 0, after: expect.closeTo(waves[0]!.sparsity, 1) });
    expect([two!.before, three!.before]).toEqual([one!.after, two!.after]);
    expect(back).toMatchObject({ before: 3, after: 1 });
  });

  it('refuses a filter that means nothing', async () => {
    const { out } = await go();
    await expect(readLog({ out, tensors: ['*q_prj*'] })).rejects.toMatchObject({
      code: 'usage',
      suggestions: expect.arrayContaining([expect.stringContaining('q_proj')]),
    });
    for (const since of ['yesterday', '1', '2026-13-41'])
      await expect(readLog({ out, since })).rejects.toThrow(/is no time/);
  });

  it('refuses a journal with a record that only a newer version knows, as everything does', async () => {
    const { out } = await go();
    const journal = await Journal.open(stateFolder(out).journal, { repair: true });
    await journal.append({ type: 'graft', onto: 'another' });
    const refusal = { code: 'unsupported', message: expect.stringContaining('"graft"') };
    await expect(readLog({ out })).rejects.toMatchObject(refusal);
    await expect(rollbackTo({ out, to: 1, diffs: at('diffs') })).rejects.toMatchObject(refusal);
    await expect(tagState({ out, name: 'best' })).rejects.toMatchObject(refusal);
    await expect(go({}, { resume: true })).rejects.toMatchObject(refusal);
  });
});
