import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { hashCheckpoint, verifyFolder } from '../../src/manifest/index.js';
import { parseRecipe, type Recipe } from '../../src/recipe.js';
import { collectGarbage, stateFolder } from '../../src/state/index.js';
import { readLog, rollbackTo, run } from '../../src/waves/index.js';
import { contentsOf, makeWorkplace } from '../fixtures/workplace.js';

let place: string;
beforeEach(() => {
  place = makeWorkplace();
});
afterEach(() => rm(place, { recursive: true }));

const at = (...parts: string[]) => path.join(place, ...parts);

function recipe(change: Record<string, unknown> = {}): Recipe {
  const base = {
    recipe: 1,
    model: at('models/fledgling'),
    out: at('out/half'),
    calibration: { file: at('models/fledgling/calibration.txt'), windows: 4, context: 32 },
    evaluation: { limit: 4, context: 32 },
    maxDrop: 1,
    steps: [{ do: 'prune', sparsity: 0.5, waves: 3 }],
  };
  return parseRecipe({ ...base, ...change }, 'the test');
}

const go = (change: Record<string, unknown> = {}, options: Partial<Parameters<typeof run>[0]> = {}) =>
  run({ recipe: recipe(change), device: 'cpu', diffs: at('diffs'), ...options });

const weightsOf = async (folder: string) => {
  const checkpoint = await openCheckpoint(folder);
  const { weights } = await hashCheckpoint(checkpoint);
  await checkpoint.close();
  return weights;
};

async function flipLastBit(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file, bytes);
}

/** A gate that lets nothing above this sparsity go would need a trained model; perplexity of a random one moves both ways. */
const IMPOSSIBLE = 'perplexity<0.5x';

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

  it.each([1, 2, 4, 7, 11, 16])(
    'goes on after an interruption at its event %i and ends in the same bytes',
    async (count) => {
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
    },
  );

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

describe('run --restart', () => {
  it('replaces a result whose journal is damaged, or gone because a restart was killed early', async () => {
    const first = await go();
    const { journal } = stateFolder(first.out);
    await writeFile(journal, 'damaged\n');
    await expect(go({}, { resume: true })).rejects.toMatchObject({ code: 'unreadable' });
    await go({}, { restart: true });
    await rm(journal);
    await expect(go()).rejects.toThrow(/exists already/);
    const last = await go({}, { restart: true });
    expect(contentsOf(last.out)).toEqual(contentsOf(first.out));
  });

  it('keeps the earlier run as long as the new one has not begun', async () => {
    const first = await go();
    const controller = new AbortController();
    const stop = go({}, { restart: true, report: () => controller.abort(), signal: controller.signal });
    await expect(stop).rejects.toMatchObject({ code: 'interrupted' });
    expect((await readLog({ out: first.out })).status).toBe('published');
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

describe('run refuses', () => {
  it('a dense model that gives no numbers', async () => {
    const file = at('models/fledgling/model.safetensors');
    const bytes = await readFile(file);
    // The file ends in float32 values: a NaN in the last tensor, which every token passes through.
    bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
    await writeFile(file, bytes);
    await expect(go()).rejects.toThrow(/perplexity of NaN/);
  });

  it('an output that exists and is not its own', async () => {
    await expect(go({ out: at('models') })).rejects.toMatchObject({ code: 'usage' });
    await expect(go({ out: at('models') }, { restart: true })).rejects.toMatchObject({ code: 'usage' });
  });

  it('to resume under another recipe, naming the field', async () => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'baseline' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await expect(go({ steps: [{ do: 'prune', sparsity: 0.6, waves: 3 }] }, { resume: true })).rejects.toThrow(
      /steps\.0\.sparsity was 0\.5, now it is 0\.6/,
    );
    await expect(go()).rejects.toThrow(/interrupted run/);
    expect((await go({}, { restart: true })).reached).toBe(true);
  });

  it('to go on over a base that has changed', async () => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'wave' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await flipLastBit(at('models/fledgling/model.safetensors'));
    await expect(go({}, { resume: true })).rejects.toMatchObject({ code: 'mismatch' });
  });

  it.each(['calibration.txt', 'config.json'])('to go on after %s has changed', async (name) => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'wave' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    const file = at('models/fledgling', name);
    const text = await readFile(file, 'utf8');
    await writeFile(file, name === 'config.json' ? text.replace('{', '{"license":"changed",') : `${text} more`);
    await expect(go({}, { resume: true })).rejects.toMatchObject({ code: 'mismatch' });
    await writeFile(file, text);
    expect((await go({}, { resume: true })).reached).toBe(true);
  });

  it('to go on from a layer that is not what the journal says', async () => {
    const controller = new AbortController();
    const report = (event: Event) => event.type === 'wave' && controller.abort();
    await expect(go({}, { report, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await flipLastBit(path.join(stateFolder(at('out/half')).layers, 'wave-0001.safetensors'));
    await expect(go({}, { resume: true })).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining('wave 1'),
    });
  });

  it('to replace the model that it is made from', async () => {
    await go();
    const refused = go({ model: at('out/half') }, { restart: true });
    await expect(refused).rejects.toMatchObject({ code: 'usage' });
    expect(await verifyFolder(at('out/half'))).toMatchObject({ matches: true });
  });

  it('a state folder with files of somebody else, and leaves them alone', async () => {
    await mkdir(at('project/layers'), { recursive: true });
    await writeFile(at('project/layers/mine.txt'), 'mine');
    await expect(go({}, { state: at('project') })).rejects.toMatchObject({ code: 'usage' });
    await expect(collectGarbage(stateFolder(at('out/half'), at('project')), { dryRun: false })).rejects.toMatchObject({
      code: 'usage',
    });
    expect(await readFile(at('project/layers/mine.txt'), 'utf8')).toBe('mine');
  });

  it('a gate without any text, and a metric without calibration', async () => {
    const magnitude = [{ do: 'prune', metric: 'magnitude', sparsity: 0.5 }];
    await expect(go({ calibration: undefined, maxDrop: 0.03, steps: magnitude })).rejects.toThrow(/gate needs text/);
    await expect(go({ calibration: undefined })).rejects.toThrow(/calibration text/);
    const result = await go({ calibration: undefined, evaluation: {}, steps: magnitude });
    expect(result.baseline).toEqual({});
  });
});

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
    await flipLastBit(path.join(stateFolder(out).layers, 'wave-0001.safetensors'));
    const contents = contentsOf(out);
    await expect(rollbackTo({ out, to: 1, diffs: at('diffs') })).rejects.toMatchObject({ code: 'mismatch' });
    expect(contentsOf(out)).toEqual(contents);
    expect((await readLog({ out })).status).toBe('published');
  });

  it('names the waves there are, and a layer that gc removed', async () => {
    const { out } = await go();
    await expect(rollbackTo({ out, to: 9, diffs: at('diffs') })).rejects.toThrow(/waves 1 to 3/);
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    const removed = await collectGarbage(stateFolder(out), { dryRun: false });
    expect(removed.map((item) => path.basename(item.path))).toEqual(['wave-0002.safetensors', 'wave-0003.safetensors']);
    await expect(rollbackTo({ out, to: 3, diffs: at('diffs') })).rejects.toThrow(/wave 2 was removed by gc/);
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
  });
});
