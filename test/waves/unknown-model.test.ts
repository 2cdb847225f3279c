import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { score } from '../../src/scoring/index.js';
import { planRun, rollbackTo } from '../../src/waves/index.js';
import { architectureFixtures, fixtureModel, writeFixture } from '../fixtures/architectures/index.js';
import { at, go, inWorkplaces, recipe, weightsOf } from '../fixtures/runs.js';

inWorkplaces();

const { tensors } = fixtureModel(architectureFixtures['qwen2']!);
/** Qwen's tensors under a name that nobody knows. */
const unknownModel = () => writeFixture({ config: { model_type: 'sparrow' }, tensors }, at('models'));
const STEP = { do: 'prune', sparsity: 0.5, waves: 1, metric: 'magnitude' };
const weightsAlone = () => ({
  model: unknownModel(),
  calibration: undefined,
  evaluation: undefined,
  steps: [STEP],
});
const PRUNABLE = [...tensors].filter(([name, { shape }]) => shape.length === 2 && !name.includes('embed'));

describe('a model of an unknown architecture', () => {
  it('is pruned matrix by matrix to what magnitude says, and nothing else in it changes', async () => {
    const events: Event[] = [];
    const { out } = await go(weightsAlone(), { report: (event) => events.push(event) });
    const pruned = await openCheckpoint(out);
    for (const [name, { shape, values }] of tensors) {
      const now = await readFloats(pruned, name);
      if (!PRUNABLE.some(([prunable]) => prunable === name)) {
        expect([name, ...now]).toEqual([name, ...values]);
        continue;
      }
      const size = shape[0]! * shape[1]!;
      const threshold = [...values].map(Math.abs).sort((a, b) => a - b)[size / 2]!;
      const expected = Array.from(values, (value) => (Math.abs(value) < threshold ? 0 : value));
      expect([name, ...now]).toEqual([name, ...expected]);
    }
    await pruned.close();
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices.join()).toMatch(/cannot be run .*"sparrow" model.* Its 21 matrices are pruned by magnitude/);
  });

  it('is planned for, and rolled back to what it was', async () => {
    const change = weightsAlone();
    const plan = await planRun({ recipe: recipe(change), device: 'cpu' });
    expect(plan.model).toMatchObject({ architecture: 'unknown', blocks: 3 });
    const { out } = await go(change);
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect(await weightsOf(out)).toBe(await weightsOf(change.model));
  });

  it.each([
    ['wanda', { steps: [{ ...STEP, metric: 'wanda' }] }, /activations.*"sparrow" model/],
    ['a solver', { steps: [{ ...STEP, solver: 'refit' }] }, /activations.*"sparrow" model/],
    ['plates', { steps: [{ do: 'prune', sparsity: 0.2, plates: 'ffn' }] }, /--plates ffn needs to know/],
    ['a gate', { maxDrop: 0.1 }, /gate.*"sparrow" model/],
  ])('is refused by name for %s', async (_, change, message) => {
    const refused = go({ ...weightsAlone(), ...change });
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', suggestions: [expect.any(String)] });
    await expect(refused).rejects.toThrow(message);
  });

  it('is scored by its weights, and refused by what looks at a text', async () => {
    const model = unknownModel();
    const { matrices } = await score({ model, metric: 'magnitude', out: at('scores.json'), device: 'cpu' });
    expect(matrices.map(({ name }) => name).sort()).toEqual(PRUNABLE.map(([name]) => name).sort());
    const refused = score({ model, metric: 'wanda', out: at('scores.json'), device: 'cpu' });
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('"sparrow"') });
    await rm(at('scores.json'));
  });
});
