import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { verifyFolder } from '../../src/manifest/index.js';
import { collectGarbage, stateFolder } from '../../src/state/index.js';
import { readLog, rollbackTo } from '../../src/waves/index.js';
import { at, flipLastBit, go, inWorkplaces, objectsOfWave, weightsOf } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

describe('rollback', () => {
  it('publishes the waves up to N, back and forth, and 0 is the dense model', async () => {
    const full = await go();
    const three = await weightsOf(full.out);
    const dense = await weightsOf(at('models/fledgling'));
    const back = await rollbackTo({ out: full.out, to: 0, diffs: at('diffs') });
    expect(await weightsOf(full.out)).toBe(dense);
    expect(back.sparsity).toBe(0);
    expect((await go({}, { resume: true })).sparsity).toBe(0);
    expect(await verifyFolder(full.out)).toMatchObject({ matches: true });
    const one = await rollbackTo({ out: full.out, to: 1, diffs: at('diffs') });
    expect(one.sparsity).toBeCloseTo(full.waves[0]!.sparsity);
    await rollbackTo({ out: full.out, to: 3, diffs: at('diffs') });
    expect(await weightsOf(full.out)).toBe(three);
  });

  it('stops at a damaged layer before anything is changed', async () => {
    const { out } = await go();
    const contents = contentsOf(out);
    for (const file of await objectsOfWave(out, 1)) {
      const bytes = await readFile(file);
      await flipLastBit(file);
      const refused = rollbackTo({ out, to: 1, diffs: at('diffs') });
      await expect(refused).rejects.toMatchObject({ code: 'mismatch', file, message: expect.stringMatching(/wave 1/) });
      await writeFile(file, bytes);
    }
    expect(contentsOf(out)).toEqual(contents);
    expect((await readLog({ out })).status).toBe('published');
  });

  it('names the waves there are, and a layer that gc removed', async () => {
    const { out } = await go();
    await expect(rollbackTo({ out, to: 9, diffs: at('diffs') })).rejects.toThrow(/waves 1 to 3/);
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    const later = [...(await objectsOfWave(out, 2)), ...(await objectsOfWave(out, 3))];
    const removed = await collectGarbage(stateFolder(out), { dryRun: false });
    expect(removed.map((item) => item.path).sort()).toEqual(later.sort());
    await expect(rollbackTo({ out, to: 3, diffs: at('diffs') })).rejects.toThrow(/wave 2 was removed by gc/);
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
  });
});
