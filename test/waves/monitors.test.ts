import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderLog } from '../../src/cli/log-report.js';
import { renderRun } from '../../src/cli/run-report.js';
import { blockErrors, scorePassages } from '../../src/evaluation/index.js';
import type { Event } from '../../src/events.js';
import { withCheckpoint } from '../../src/model/index.js';
import type { Edit } from '../../src/pruning/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { monitorOf } from '../../src/waves/examine.js';
import { openState, readLog } from '../../src/waves/index.js';
import { openInputs } from '../../src/waves/inputs.js';
import { shed } from '../fixtures/planted.js';
import { at, go, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const OUT = () => at('out/half');
const STEPS = [{ do: 'prune', sparsity: 0.5, waves: 2, metric: 'magnitude' }];

describe('monitors', () => {
  it('measure after each wave what the dense model beside it gives, and say what the wave gave for what', async () => {
    const result = await go({ monitor: 'full', steps: STEPS });
    const { history } = await readLog({ out: OUT() });
    const inputs = await openInputs(recipe({ monitor: 'full', steps: STEPS }));
    const device = await openDevice('cpu');
    let before = history.baseline!.figures;
    let removed = 0;
    for (const wave of history.waves) {
      const state = await openState(`${OUT()}@${wave.wave}`);
      const now = withCheckpoint(inputs.model, state.checkpoint);
      const { passages } = inputs.evaluation!;
      const { comparisons, scores } = await scorePassages(now, passages, { device, base: inputs.model });
      const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
      const total = (field: 'divergence' | 'sameTop') => comparisons!.reduce((sum, each) => sum + each[field], 0);
      expect(wave.figures['kl']).toBeCloseTo(total('divergence') / tokens, 10);
      expect(wave.figures['agreement']).toBeCloseTo(total('sameTop') / tokens, 10);
      const errors = await blockErrors(inputs.model, now, inputs.calibration!.passages, { device });
      expect(wave.blocks).toEqual({ errors, startsAt: 0, passages: 4 });
      await state.checkpoint.close();
      // What is removed is what the layers say, element by element.
      const here = wave.layers.reduce((sum, { name, sparsity }) => {
        const [rows, columns] = inputs.model.checkpoint.tensors.get(name)!.shape as [number, number];
        return sum + Math.round(sparsity * rows * columns);
      }, 0);
      expect(wave.removed!.parameters).toBe(here);
      const lost = before['accuracy']! - wave.figures['accuracy']!;
      expect(wave.effectiveness).toMatchObject({ parameters: here - removed, accuracyLost: lost });
      const { perAccuracyPoint, perPerplexity } = wave.effectiveness!;
      if (lost > 0) expect(perAccuracyPoint).toBeCloseTo((here - removed) / (100 * lost), 6);
      else expect(perAccuracyPoint).toBeNull();
      const added = wave.figures['perplexity']! - before['perplexity']!;
      if (added > 0) expect(perPerplexity).toBeCloseTo((here - removed) / added, 6);
      else expect(perPerplexity).toBeNull();
      [before, removed] = [wave.figures, here];
    }
    await device.close();
    await inputs.model.checkpoint.close();
    // The same is in the result, the log, and what people read.
    expect(result.waves[1]).toMatchObject({
      blocks: history.waves[1]!.blocks,
      effectiveness: { parameters: expect.any(Number) },
    });
    const log = await readLog({ out: OUT() });
    expect(log.entries[1]).toMatchObject({ blocks: history.waves[1]!.blocks });
    // What the first wave foretold of the second: errors that grow as what is removed to the power of 1.5.
    const [first, second] = history.waves;
    expect(first).not.toHaveProperty('foretold');
    expect(log.entries[1]).toMatchObject({ foretold: second!.foretold });
    expect(second!.foretold!.learntFrom).toBe(1);
    const shareOf = ({ layers }: typeof first & object) => layers.reduce((sum, { sparsity }) => sum + sparsity, 0) / 14;
    for (const { block, expected, low, high, actual } of second!.foretold!.blocks) {
      expect(actual).toBe(second!.blocks!.errors[block]);
      const grown = shareOf(second!) / shareOf(first!);
      expect(expected / (first!.blocks!.errors[block]! * grown ** 1.5)).toBeCloseTo(1, 1);
      expect(low).toBeLessThan(expected);
      expect(high).toBeGreaterThan(expected);
    }
    expect(second!.foretold!.kl!.actual).toBe(second!.figures['kl']);
    for (const text of [renderRun(result), renderLog(log)]) {
      expect(text).toMatch(/KL +same top +shed\/point/);
      expect(text).toMatch(/foretold {4}wave 2: output error [\d.]+ % \([\d.]+ % to [\d.]+ %\); [\d.]+ % came/);
      expect(text).toMatch(/blocks {6}.{2} {2}output error .* after wave 2; damage starts in block 0/);
    }
  });

  it('are few where the recipe says so', async () => {
    await go({ monitor: 'basic', steps: STEPS });
    const [wave] = (await readLog({ out: OUT() })).history.waves;
    expect(wave!.figures).not.toHaveProperty('kl');
    expect(wave!.figures).toHaveProperty('accuracyLoss');
    expect(wave).not.toHaveProperty('blocks');
  });

  it('say where damage starts: at the first block with a tenth of the largest error', () => {
    expect(monitorOf([0, 0.001, 0.02, 0.1], 8)).toEqual({ errors: [0, 0.001, 0.02, 0.1], startsAt: 2, passages: 8 });
    expect(monitorOf([0, 0], 8).startsAt).toBeNull();
  });
});

describe('the emergency stop', () => {
  /** An edit that writes a value into the first tensor of block 1 where an ordinary one would remove weights. */
  const poisoning = (value: number, from: number): Edit => {
    let waves = 0;
    return {
      needsCalibration: false,
      target: 0.5,
      plan: (model) => ({ masks: [], values: [model.checkpoint.tensors.get('model.layers.1.mlp.up_proj.weight')!] }),
      async propose({ model, writer, target }) {
        const name = 'model.layers.1.mlp.up_proj.weight';
        const bytes = await model.checkpoint.read(name);
        new Float32Array(bytes.buffer, bytes.byteOffset, 4)[3] = ++waves >= from ? value : target;
        await writer.writeValues(name, 0, bytes);
      },
    };
  };
  const steps = [{ do: 'prune', sparsity: 0.5, waves: 2, metric: 'magnitude', schedule: 'linear' }];

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'drops a wave that writes %d, names block and tensor, and publishes nothing',
    async (value) => {
      const events: Event[] = [];
      const running = shed(poisoning(value, 2), { maxDrop: 1, steps }, { report: (event) => events.push(event) });
      await expect(running).rejects.toMatchObject({
        code: 'not-finite',
        exitCode: 4,
        tensor: 'model.layers.1.mlp.up_proj.weight',
        message: expect.stringMatching(
          /Wave 2, to sparsity 0.500, was dropped .* in block 1, model.layers.1.mlp.up_proj.weight holds/,
        ),
      });
      expect(existsSync(OUT())).toBe(false);
      const { history, status } = await readLog({ out: OUT() });
      expect(status).toBe('running');
      expect(history.waves).toMatchObject([
        { verdict: 'committed', active: true },
        { verdict: 'rolled-back', stopped: { block: 1, tensor: 'model.layers.1.mlp.up_proj.weight', cause: 'value' } },
      ]);
      expect(existsSync(at('out/.birdbone/half', history.waves[1]!.layer.name))).toBe(false);
      // Going on, half the step is tried: an edit that does no harm now ends the run.
      await shed(poisoning(0, 99), { maxDrop: 1, steps }, { resume: true });
      const targets = (await readLog({ out: OUT() })).history.waves.map(({ target }) => target);
      expect(targets.slice(0, 4)).toEqual([0.25, 0.5, 0.375, 0.4375]);
    },
  );

  it('leaves an earlier result as it was', async () => {
    await go({ steps: STEPS });
    const before = contentsOf(OUT());
    const running = shed(poisoning(Number.NaN, 1), { maxDrop: 1, steps }, { restart: true });
    await expect(running).rejects.toMatchObject({ code: 'not-finite' });
    expect(contentsOf(OUT())).toEqual(before);
  });
});
