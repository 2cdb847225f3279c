import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareScores, type PassageComparison, type PassageScore, scorePassages } from '../../src/evaluation/index.js';
import type { Event } from '../../src/events.js';
import { type Model, openModel } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, type TinyModel, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

const references = { base: tinyModel(TINY_LLAMA, 1), now: tinyModel(TINY_LLAMA, 2) };
const folders = { base: writeTinyModel(references.base), now: writeTinyModel(references.now) };
const random = uniform(3);
/** Of every length that matters: two equal ones, a short one first, one with nothing to score. */
const passages = [2, 17, 40, 1, 17, 33].map((length) => ({
  ids: Int32Array.from({ length }, () => Math.floor(61 * random())),
}));

let device: Device;
let base: Model;
let now: Model;

beforeAll(async () => {
  device = await openDevice('cpu');
  base = await openModel(folders.base);
  now = await openModel(folders.now);
});
afterAll(async () => {
  await base.checkpoint.close();
  await now.checkpoint.close();
  await device.close();
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true });
});

describe('scorePassages', () => {
  it('equals a float64 forward pass of each passage alone, and leaves nothing on the device', async () => {
    const before = device.memory();
    const { scores, ...rest } = await scorePassages(now, passages, { device });
    expect(device.memory()).toEqual(before);
    expect(rest).toEqual({});
    expectScores(
      scores,
      passages.map(({ ids }) => expectedScore(references.now, ids)),
    );
  });

  it('compares with a base token by token, and scores the base on the way', async () => {
    const before = device.memory();
    const scored = await scorePassages(now, passages, { device, base });
    expect(device.memory()).toEqual(before);
    expectScores(
      scored.scores,
      passages.map(({ ids }) => expectedScore(references.now, ids)),
    );
    expectScores(
      scored.baseScores!,
      passages.map(({ ids }) => expectedScore(references.base, ids)),
    );
    passages.forEach(({ ids }, i) => {
      const { divergence, ...counts } = expectedComparison(ids);
      const { divergence: found, ...foundCounts } = scored.comparisons![i]!;
      expect(found).toBeCloseTo(divergence, 3);
      expect(foundCounts).toEqual(counts);
    });
  });

  it('finds no difference between a model and itself', async () => {
    const { scores, baseScores, comparisons } = await scorePassages(now, passages, { device, base: now });
    expect(scores).toEqual(baseScores);
    const { intervals, ...figures } = compareScores(baseScores!, scores, { seed: 0, comparisons: comparisons! });
    expect(figures).toEqual({ accuracyLoss: 0, perplexityRatio: 1, kl: 0, agreement: 1, lost: 0, gained: 0, flips: 0 });
    expect(intervals.kl).toEqual([0, 0]);
  });

  it('gives the same numbers again, also from hidden states in a file that is gone afterwards', async () => {
    const spillFolder = path.join(mkdtempSync(path.join(tmpdir(), 'birdbone-spill-')), 'spill');
    const first = await scorePassages(now, passages, { device, base });
    const again = await scorePassages(now, passages, { device, base, memoryBytes: 0, spillFolder });
    expect(again).toEqual(first);
    expect(existsSync(spillFolder)).toBe(true);
    expect(readdirSync(spillFolder)).toEqual([]);
    rmSync(path.dirname(spillFolder), { recursive: true });
  });

  it('reports the tokens from none to all of them, never backwards', async () => {
    const events: Event[] = [];
    await scorePassages(now, passages, { device, base, report: (event) => events.push(event) });
    const done = events.map((event) => {
      expect(event).toMatchObject({ type: 'progress', stage: 'evaluate', unit: 'tokens' });
      return event.type === 'progress' ? event.done / event.total : Number.NaN;
    });
    expect(done).toEqual([...done].sort((a, b) => a - b));
    // Two blocks of two models, and the output layer of both.
    expect(done.length).toBeGreaterThanOrEqual(5);
    expect(done.at(-1)).toBe(1);
  });

  it.each([0, 1, 2, 4])(
    'stops when it is aborted after %d reports, and leaves nothing on the device',
    async (after) => {
      const before = device.memory();
      const stop = new AbortController();
      let reports = 0;
      const report = () => {
        if (++reports >= after) stop.abort();
      };
      if (after === 0) stop.abort();
      const scoring = scorePassages(now, [...passages, ...passages], { device, base, report, signal: stop.signal });
      await expect(scoring).rejects.toMatchObject({ name: 'BirdboneError', code: 'interrupted' });
      expect(reports).toBeLessThanOrEqual(after);
      expect(device.memory()).toEqual(before);
    },
  );

  it('refuses a base with another vocabulary and ids that the model does not have', async () => {
    const folder = writeTinyModel(tinyModel({ ...TINY_LLAMA, vocab_size: 60 }));
    const smaller = await openModel(folder);
    await expect(scorePassages(now, passages, { device, base: smaller })).rejects.toMatchObject({
      code: 'usage',
      message: /vocabulary of 60 tokens, the model one of 61/,
    });
    const strange = [{ ids: Int32Array.of(1, 61) }];
    await expect(scorePassages(now, strange, { device })).rejects.toMatchObject({ code: 'usage', message: /id 61/ });
    await smaller.checkpoint.close();
    rmSync(folder, { recursive: true });
  });
});

describe('scorePassages with heads that are too large for the device', () => {
  const config = { ...TINY_LLAMA, vocab_size: 1990 };
  const wide = { base: tinyModel(config, 4), now: tinyModel(config, 5) };
  const partBytes = 4 * 32 * 200;
  let models: { base: Model; now: Model };
  let small: Device;

  beforeAll(async () => {
    models = { base: await openModel(writeTinyModel(wide.base)), now: await openModel(writeTinyModel(wide.now)) };
    // 200 rows of a head in a part: ten parts, the last of 190 rows.
    small = { ...device, maxTensorBytes: partBytes };
  });
  afterAll(async () => {
    for (const { checkpoint } of Object.values(models)) {
      await checkpoint.close();
      rmSync(checkpoint.path, { recursive: true });
    }
  });

  it.each([false, true])(
    'gives the same bits however many parts are there at a time, with a base: %s',
    async (withBase) => {
      const before = device.memory();
      const options = { device: small, ...(withBase && { base: models.base }) };
      const whole = await scorePassages(models.now, passages, { ...options, headBytes: 2 ** 30 });
      // One part at a time, and sections of several, of which the last is shorter.
      for (const headBytes of [0, (withBase ? 8 : 4) * partBytes]) {
        expect(await scorePassages(models.now, passages, { ...options, headBytes })).toEqual(whole);
      }
      expect(await scorePassages(models.now, passages, options)).toEqual(whole);
      expect(device.memory()).toEqual(before);
      expectScores(
        whole.scores,
        passages.map(({ ids }) => expectedScore(wide.now, ids)),
      );
    },
  );

  it('holds no more rows of the heads than it may', async () => {
    const largest = async (headBytes: number) => {
      let bytes = 0;
      const read: Device['read'] = (tensor) => {
        bytes = Math.max(bytes, device.memory().bytes);
        return device.read(tensor);
      };
      await scorePassages(models.now, passages.slice(0, 1), {
        device: { ...small, read },
        base: models.base,
        headBytes,
      });
      return bytes;
    };
    expect((await largest(2 ** 30)) - (await largest(0))).toBe(2 * (4 * 32 * 1990 - partBytes));
  });

  it('reports every token once, and stops between two sections', async () => {
    const reports: number[] = [];
    const stop = new AbortController();
    const options = { device: small, base: models.base, headBytes: 0 };
    const report = (event: Event) => {
      if (event.type === 'progress') reports.push(event.done / event.total);
    };
    await scorePassages(models.now, passages, { ...options, report });
    expect(reports).toEqual([...reports].sort((a, b) => a - b));
    expect(reports.at(-1)).toBe(1);
    const before = device.memory();
    const last = reports.length - 1;
    const count = reports.length;
    reports.length = 0;
    const stopBeforeTheLast = (event: Event) => {
      report(event);
      if (reports.length === last) stop.abort();
    };
    await expect(
      scorePassages(models.now, passages, { ...options, report: stopBeforeTheLast, signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'interrupted' });
    expect(reports).toHaveLength(count - 1);
    expect(device.memory()).toEqual(before);
  });
});

function expectScores(found: readonly PassageScore[], expected: readonly PassageScore[]): void {
  expect(found).toHaveLength(expected.length);
  expected.forEach((score, i) => {
    expect(found[i]).toMatchObject({ tokens: score.tokens, correct: score.correct });
    expect(found[i]!.negativeLogLikelihood).toBeCloseTo(score.negativeLogLikelihood, 3);
  });
}

/** ln p of every token at every position but the last, straight from the logits. */
function logProbabilities(model: TinyModel, ids: Int32Array): number[][] {
  return referenceLogits(model, ids)
    .slice(0, -1)
    .map((row) => {
      const largest = Math.max(...row);
      const logSum = largest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
      return Array.from(row, (logit) => logit - logSum);
    });
}

function expectedScore(model: TinyModel, ids: Int32Array): PassageScore {
  const rows = logProbabilities(model, ids);
  return {
    tokens: ids.length - 1,
    negativeLogLikelihood: -rows.reduce((sum, row, i) => sum + row[ids[i + 1]!]!, 0),
    correct: rows.filter((row, i) => argMax(row) === ids[i + 1]).length,
  };
}

function expectedComparison(ids: Int32Array): PassageComparison {
  const [was, is] = [logProbabilities(references.base, ids), logProbabilities(references.now, ids)];
  const tops = was.map((row, i) => ({ was: argMax(row), is: argMax(is[i]!), target: ids[i + 1]! }));
  return {
    divergence: was.reduce(
      (sum, row, i) => sum + row.reduce((kl, logP, j) => kl + Math.exp(logP) * (logP - is[i]![j]!), 0),
      0,
    ),
    sameTop: tops.filter((top) => top.was === top.is).length,
    lost: tops.filter((top) => top.was === top.target && top.is !== top.target).length,
    gained: tops.filter((top) => top.was !== top.target && top.is === top.target).length,
  };
}

function argMax(row: readonly number[]): number {
  return row.indexOf(Math.max(...row));
}
