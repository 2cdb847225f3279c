import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { verifyFolder } from '../../src/manifest/index.js';
import { readLog } from '../../src/waves/index.js';
import { at, go, IMPOSSIBLE, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

describe('run', () => {
  it('reaches the target in waves, leaves the base alone and publishes what its manifest says', async () => {
    const before = contentsOf(at('models'));
    const result = await go();
    expect(contentsOf(at('models'))).toEqual(before);
    expect(result.waves.map((wave) => wave.verdict)).toEqual(['committed', 'committed', 'committed']);
    expect(result.reached).toBe(true);
    expect(await verifyFolder(result.out)).toMatchObject({ matches: true });
    for (const { name } of result.layers) {
      const checkpoint = await openCheckpoint(result.out);
      const values = await readFloats(checkpoint, name);
      const columns = checkpoint.tensors.get(name)!.shape[1]!;
      for (let row = 0; row < values.length; row += columns) {
        // Wanda removes ⌊in · s⌋ of each row; a random model has no zeros of its own.
        expect(values.subarray(row, row + columns).filter((value) => value === 0).length).toBe(Math.floor(columns / 2));
      }
      await checkpoint.close();
    }
    expect(JSON.parse(await readFile(result.diff.json, 'utf8'))).toMatchObject({
      waves: [{ wave: 1 }, { wave: 2 }, { wave: 3 }],
    });
    expect(await readFile(result.diff.markdown, 'utf8')).toContain(result.layers[0]!.name);
  });

  it('gives the same bytes for the same recipe, wherever they go', async () => {
    const first = await go();
    const second = await go({ out: at('elsewhere/again') });
    expect(contentsOf(second.out)).toEqual(contentsOf(first.out));
  });

  it.each([1, 4, 9, 16])('goes on after an interruption at its event %i and ends in the same bytes', async (count) => {
    const whole = await go({ out: at('whole/half') });
    const controller = new AbortController();
    let seen = 0;
    const report = (_: Event) => {
      seen += 1;
      if (seen === count) controller.abort();
    };
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    expect(existsSync(at('out/half'))).toBe(false);
    const resumed = await go({}, { resume: true });
    expect(contentsOf(resumed.out)).toEqual(contentsOf(whole.out));
  });

  it('takes config and tokenizer along when the model is named by its file', async () => {
    const whole = await go({ steps: [{ do: 'prune', sparsity: 0.5, waves: 1 }] });
    const model = at('models/fledgling/model.safetensors');
    const { out } = await go({ model, out: at('out/lone'), steps: [{ do: 'prune', sparsity: 0.5, waves: 1 }] });
    expect(Object.keys(contentsOf(out))).toEqual(Object.keys(contentsOf(whole.out)));
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
  });

  it('starts when there is nothing to resume, and says the same again when all is done', async () => {
    const first = await go({}, { resume: true });
    const contents = contentsOf(at('out'));
    const again = await go({}, { resume: true });
    expect(contentsOf(at('out'))).toEqual(contents);
    expect(again.result).toEqual(first.result);
  });

  it('makes an output again that somebody removed', async () => {
    const { out } = await go();
    const contents = contentsOf(out);
    await rm(out, { recursive: true });
    await go({}, { resume: true });
    expect(contentsOf(out)).toEqual(contents);
  });

  it('rolls every wave back that the gate refuses, publishes nothing, and says so', async () => {
    await expect(go({ gate: IMPOSSIBLE })).rejects.toMatchObject({ code: 'gate-failed', exitCode: 4 });
    expect(existsSync(at('out/half'))).toBe(false);
    const log = await readLog({ out: at('out/half') });
    expect(log.status).toBe('failed');
    // The smallest step takes less than one weight of a row: there is nothing to refuse.
    const changed = log.history.waves.filter((wave) => wave.changed);
    expect(new Set(changed.map((wave) => wave.verdict))).toEqual(new Set(['rolled-back']));
    const targets = changed.map((wave) => wave.target);
    for (let i = 1; i < 4; i++) expect(targets[i]).toBeCloseTo(targets[i - 1]! / 2);
    expect(Math.min(...targets)).toBeGreaterThanOrEqual(0.01);
  });

  it('brings 2:4 in matrix by matrix', async () => {
    const result = await go({
      steps: [{ do: 'prune', metric: 'magnitude', pattern: '2:4', waves: 2, schedule: 'linear' }],
    });
    const shares = result.waves.map((wave) => wave.sparsity);
    expect(shares[0]).toBeGreaterThan(0.1);
    expect(shares[0]).toBeLessThanOrEqual(0.25);
    expect(shares[1]).toBeCloseTo(0.5);
  });

  it('measures nothing for steps too small for a matrix, and keeps nothing when only those pass', async () => {
    const steps = [{ do: 'prune', metric: 'magnitude', pattern: '2:4', waves: 2, schedule: 'linear' }];
    await expect(go({ gate: IMPOSSIBLE, steps })).rejects.toMatchObject({ code: 'gate-failed' });
    const { history } = await readLog({ out: at('out/half') });
    const unchanged = history.waves.filter((wave) => !wave.changed);
    expect(unchanged.length).toBeGreaterThan(0);
    expect(new Set(unchanged.map((wave) => wave.sparsity))).toEqual(new Set([0]));
  });

  it('counts what earlier steps of the recipe removed', async () => {
    const result = await go({
      steps: [
        { do: 'prune', metric: 'magnitude', sparsity: 0.25, waves: 1 },
        { do: 'prune', metric: 'magnitude', pattern: '2:4', sparsity: 0.4, waves: 1 },
      ],
    });
    // Matrices that 2:4 leaves alone keep the quarter that the first step took.
    expect(result.waves[1]!.sparsity).toBeGreaterThan(0.25);
    for (const layer of result.layers) expect(layer.sparsity).toBeGreaterThan(0.24);
  });

  it('refuses to compare across the groups of a fixed pattern', async () => {
    const steps = [{ do: 'prune', pattern: '2:4', compare: 'global' }];
    await expect(go({ steps })).rejects.toThrow(/within its own groups/);
  });

  it('meets a global budget exactly, over matrices of different sparsity', async () => {
    const result = await go({ steps: [{ do: 'prune', sparsity: 0.3, compare: 'global', waves: 1 }] });
    expect(result.sparsity).toBeCloseTo(0.3, 3);
    expect(new Set(result.layers.map((layer) => layer.sparsity.toFixed(3))).size).toBeGreaterThan(1);
  });
});

describe('run says', () => {
  const notices = async (change: Record<string, unknown>) => {
    const messages: string[] = [];
    await go(change, { report: (event) => event.type === 'notice' && messages.push(event.message) });
    return messages.filter((message) => message.startsWith('The gate'));
  };

  it('when the gate measures on what calibration left, or on the very same text', async () => {
    expect(await notices({})).toEqual([expect.stringContaining('that calibration does not see')]);
    const same = { file: at('models/fledgling/calibration.txt'), context: 32, limit: 4 };
    expect(await notices({ out: at('out/same'), evaluation: same })).toEqual([expect.stringContaining('flattering')]);
    const other = { ...same, file: at('models/fledgling/evaluation.txt') };
    expect(await notices({ out: at('out/other'), evaluation: other })).toEqual([]);
  });
});
