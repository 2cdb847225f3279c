import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import { readManifest, verifyFolder } from '../../src/manifest/index.js';
import { openModel } from '../../src/model/index.js';
import { openState, planFactors, readLog, rollbackTo } from '../../src/waves/index.js';
import { at, go, IMPOSSIBLE, inWorkplaces, recipe, weightsOf } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const FACTORIZE = { do: 'factorize', ratio: 0.3 };
const UP = 'model.layers.0.mlp.up_proj.weight';

const storedIn = async (folder: string) => {
  const checkpoint = await openCheckpoint(folder);
  await checkpoint.close();
  return checkpoint.tensors;
};

const numbersIn = async (folder: string) =>
  [...(await storedIn(folder))]
    .filter(([name]) => /layers\..*_proj\.weight(_right)?$/.test(name))
    .reduce((sum, [, { shape }]) => sum + shape.reduce((product, extent) => product * extent, 1), 0);

describe('a run that factorizes', () => {
  it('publishes factors that open as the model that was measured, and goes back and forth', async () => {
    const { out, reached } = await go({ steps: [FACTORIZE] });
    expect(reached).toBe(true);
    const before = await numbersIn(at('models/fledgling'));
    expect(await numbersIn(out)).toBeLessThanOrEqual(0.7 * before);
    expect(await numbersIn(out)).toBeGreaterThan(0.68 * before);
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
    const [model, state] = [await openModel(out), await openState(`${out}@1`)];
    for (const name of model.checkpoint.tensors.keys()) {
      expect(await readFloats(model.checkpoint, name), name).toEqual(await readFloats(state.checkpoint, name));
    }
    await model.checkpoint.close();
    await state.checkpoint.close();
    const published = contentsOf(out);
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect(await weightsOf(out)).toBe(await weightsOf(at('models/fledgling')));
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    expect(contentsOf(out)).toEqual(published);
  });

  it('tells of each matrix what it became, in the manifest too', async () => {
    const { out } = await go({ steps: [{ do: 'factorize', rank: 6, algorithm: 'svd' }] });
    const { manifest } = await readManifest(out);
    const [wave] = manifest.waves as unknown as { details: { factorized: { weight: string }[] } }[];
    expect(wave!.details.factorized.find(({ weight }) => weight === UP)).toMatchObject({
      form: 'factors of rank 6',
      algorithm: 'SVD',
      rank: 6,
      parameters: 6 * (44 + 32),
      lost: expect.closeTo(0.5, 0),
    });
    const K = 'model.layers.0.self_attn.k_proj.weight';
    expect(wave!.details.factorized.find(({ weight }) => weight === K)).toMatchObject({ form: 'factors of rank 6' });
  });

  it('that fails its gate is tried with half of its ratio, and an energy is not tried again', async () => {
    const gate = { gate: IMPOSSIBLE, steps: [{ ...FACTORIZE, ratio: 0.4, minStep: 0.1 }] };
    await expect(go(gate)).rejects.toMatchObject({ code: 'gate-failed' });
    const targets = async () => {
      const { history } = await readLog({ out: at('out/half') });
      return history.waves.map(({ target }) => target);
    };
    expect(await targets()).toEqual([0.4, 0.2, 0.1]);
    const energy = { gate: IMPOSSIBLE, steps: [{ do: 'factorize', energy: 0.8 }] };
    await expect(go(energy, { restart: true })).rejects.toMatchObject({ code: 'gate-failed' });
    expect(await targets()).toEqual([1]);
  });

  it('in the dense format keeps names, types and shapes, and may be followed by pruning', async () => {
    const dense = { ...FACTORIZE, format: 'dense' };
    const { out } = await go({ steps: [dense, { do: 'prune', sparsity: 0.3, metric: 'magnitude', waves: 1 }] });
    expect([...(await storedIn(out))]).toEqual([...(await storedIn(at('models/fledgling')))]);
    expect(await weightsOf(out)).not.toBe(await weightsOf(at('models/fledgling')));
  });

  it('needs text for whitened SVD, and says how to do without', async () => {
    const without = { calibration: undefined, steps: [FACTORIZE] };
    await expect(go(without)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/The algorithm whitened looks at activations/),
      suggestions: expect.arrayContaining(['Decompose the weights alone: --algorithm svd']),
    });
  });
});

describe('a plan of factors', () => {
  it('has the ranks that the run then takes, and leaves nothing behind', async () => {
    const before = contentsOf(at('.'));
    const matrices = await planFactors({ ratio: 0.3 }, { recipe: recipe({ steps: [FACTORIZE] }), device: 'cpu' });
    expect(contentsOf(at('.'))).toEqual(before);
    const { out } = await go({ steps: [FACTORIZE] });
    const stored = await storedIn(out);
    for (const { name, rank, rows, columns } of matrices) {
      expect(stored.get(name)!.shape, name).toEqual(rank === undefined ? [rows, columns] : [rows, rank]);
    }
    expect(matrices.some(({ loss }) => loss !== undefined && loss > 0 && loss < 1)).toBe(true);
  });
});
