import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { verifyFolder } from '../../src/manifest/index.js';
import { rollbackTo } from '../../src/waves/index.js';
import { at, go, inWorkplaces, weightsOf } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const STEPS = [{ do: 'prune', sparsity: 0.5, waves: 3, solver: 'sparsegpt' }];

async function linearsOf(folder: string, names: readonly string[]): Promise<Float32Array[]> {
  const checkpoint = await openCheckpoint(folder);
  const values: Float32Array[] = [];
  for (const name of names) values.push(await readFloats(checkpoint, name));
  await checkpoint.close();
  return values;
}

describe('waves with a solver', () => {
  it('go on from corrected weights: what is gone stays gone, the sparsity is what the files hold', async () => {
    const result = await go({ steps: STEPS });
    expect(result.waves.map(({ verdict }) => verdict)).toEqual(['committed', 'committed', 'committed']);
    expect(await verifyFolder(result.out)).toMatchObject({ matches: true });
    const names = result.layers.map(({ name }) => name);
    const three = await linearsOf(result.out, names);
    const dense = await linearsOf(at('models/fledgling'), names);
    for (const [i, values] of three.entries()) {
      const zeros = values.filter((value) => value === 0).length;
      expect(result.layers[i]!.sparsity).toBe(zeros / values.length);
      expect(Math.abs(zeros / values.length - 0.5)).toBeLessThan(0.01);
      const moved = values.filter((value, j) => value !== 0 && value !== dense[i]![j]).length;
      expect(moved).toBeGreaterThan(values.length / 8);
    }
    await rollbackTo({ out: result.out, to: 1, diffs: at('diffs') });
    const one = await linearsOf(result.out, names);
    let gone = 0;
    for (const [i, values] of one.entries()) {
      for (const [j, value] of values.entries()) {
        if (value !== 0) continue;
        gone += 1;
        expect(three[i]![j]).toBe(0);
      }
    }
    expect(gone).toBeGreaterThan(0);
  });

  it('are rolled back and forth bit for bit', async () => {
    const { out } = await go({ steps: STEPS });
    const [three, dense] = [await weightsOf(out), await weightsOf(at('models/fledgling'))];
    const none = await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect([none.sparsity, await weightsOf(out)]).toEqual([0, dense]);
    await rollbackTo({ out, to: 3, diffs: at('diffs') });
    expect(await weightsOf(out)).toBe(three);
  });

  it('go on after an interruption in the second wave and end in the same bytes', async () => {
    const steps = [{ ...STEPS[0], waves: 2 }];
    const whole = await go({ out: at('whole/half'), steps });
    const controller = new AbortController();
    let waves = 0;
    const report = (event: Event) => {
      if (event.type === 'wave') waves += 1;
      if (waves === 1 && event.type === 'progress' && event.stage === 'prune') controller.abort();
    };
    const stopped = go({ steps }, { report, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    const resumed = await go({ steps }, { resume: true });
    expect(contentsOf(resumed.out)).toEqual(contentsOf(whole.out));
  });

  it.each(['refit', 'sparsegpt-refit', 'alps'])(
    '%s brings 2:4 in matrix by matrix and leaves the others alone',
    async (solver) => {
      const { layers } = await go({ steps: [{ do: 'prune', pattern: '2:4', sparsity: 0.3, waves: 1, solver }] });
      const sparsities = new Set(layers.map(({ sparsity }) => sparsity));
      expect(sparsities).toEqual(new Set([0, 0.5]));
      const names = layers.map(({ name }) => name);
      const [pruned, dense] = [await linearsOf(at('out/half'), names), await linearsOf(at('models/fledgling'), names)];
      for (const [i, { sparsity }] of layers.entries()) if (sparsity === 0) expect(pruned[i]).toEqual(dense[i]);
    },
  );

  it.each([
    [{ metric: 'magnitude', solver: 'sparsegpt' }, /--metric magnitude would be without effect/],
    [{ compare: 'global', solver: 'refit' }, /--compare global/],
    [{ solver: 'sparsegtp' }, /no solver "sparsegtp".*sparsegpt/],
  ])('refuse %j before any work', async (change, message) => {
    const refused = go({ steps: [{ do: 'prune', sparsity: 0.5, waves: 1, ...change }] });
    await expect(refused).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
  });

  it('say who needs a calibration text', async () => {
    const steps = [{ do: 'prune', sparsity: 0.5, metric: 'magnitude', solver: 'refit' }];
    const refused = go({ steps, calibration: undefined, evaluation: { file: at('models/fledgling/evaluation.txt') } });
    await expect(refused).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/solver refit looks/),
    });
  });
});
