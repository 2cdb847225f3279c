import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { openModel } from '../../src/model/index.js';
import { page } from '../../src/pictures/index.js';
import { foundRun, search, searchFolder } from '../../src/pipelines/index.js';
import { searchPicture } from '../../src/pipelines/search-picture.js';
import { run } from '../../src/waves/index.js';
import { at, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const steps = [
  { do: 'prune', sparsity: 0.5, metric: 'magnitude', waves: 3 },
  { do: 'quantize', scheme: 'nf4', groupSize: 16 },
];
/** A random model loses little by anything; what a gate lets through here is what perplexity says of pruning half of it. */
const settings = (change: Record<string, unknown> = {}) =>
  recipe({ steps, gate: 'perplexity<1.5x', evaluation: { limit: 6, context: 32 }, ...change });

describe('a search', () => {
  it('finds the smallest candidate inside the gate, measures it as its run does, and keeps its work', {
    timeout: 120_000,
  }, async () => {
    const options = { recipe: settings(), device: 'cpu', diffs: at('diffs') } as const;
    const found = await search(options);
    expect(found.tried.map(({ name }) => name).sort()).toEqual([
      'prune 25 %',
      'prune 25 % + quantize nf4',
      'prune 50 %',
      'prune 50 % + quantize nf4',
      'quantize nf4',
    ]);
    const whole = found.tried.filter(({ passages }) => passages === found.passages);
    const inside = whole.filter(({ pass }) => pass).map(({ bytes }) => bytes);
    expect(found.best!.bytes).toBe(Math.min(...inside));
    expect(found.tried.filter(({ front }) => front).length).toBeGreaterThan(0);
    const { rounds } = found;
    expect(rounds).toEqual([
      { passages: 4, candidates: 5 },
      { passages: 6, candidates: 4 },
    ]);

    // Another one reads what the first has made.
    const before = contentsOf(searchFolder(options));
    const events: Event[] = [];
    expect(await search({ ...options, report: (event) => events.push(event) })).toEqual(found);
    expect(contentsOf(searchFolder(options))).toEqual(before);

    const result = await run(foundRun(options, found));
    expect(result.result['perplexityRatio']).toBeCloseTo(found.best!.perplexityRatio, 6);
    const model = await openModel(result.out);
    await model.checkpoint.close();
    const names = [...model.checkpoint.tensors.keys()];
    expect(names).toContain('model.embed_tokens.weight');
    expect(statSync(path.join(result.out, 'model.safetensors')).size).toBeGreaterThan(found.best!.bytes);

    const html = page(await searchPicture(found));
    for (const { name } of found.tried) expect(html).toContain(name);
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
  });

  it('goes on where it was interrupted, to the same result', { timeout: 120_000 }, async () => {
    const small = { steps: [{ do: 'quantize', scheme: 'int4', groupSize: 8 }] };
    const whole = await search({ recipe: settings({ ...small, out: at('whole/half') }), device: 'cpu' });
    const controller = new AbortController();
    const report = (event: Event) => {
      if (event.type === 'progress' && event.unit === 'candidates' && event.done === 1) controller.abort();
    };
    const options = { recipe: settings(small), device: 'cpu' } as const;
    const stopped = search({ ...options, report, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    expect(await search(options)).toEqual(whole);
    // The lock is not left behind.
    expect(() => readFileSync(path.join(searchFolder(options), 'lock'))).toThrow();
  });

  it('needs a gate, and publishes nothing when no candidate passes it', { timeout: 60_000 }, async () => {
    const options = { recipe: settings({ gate: undefined, maxDrop: 1 }), device: 'cpu' } as const;
    await expect(search(options)).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(/no gate/) });
    const strict = { recipe: settings({ gate: 'perplexity<0.5x', steps: [steps[1]] }), device: 'cpu' } as const;
    const found = await search(strict);
    expect(found.best).toBeNull();
    expect(() => foundRun(strict, found)).toThrow(expect.objectContaining({ code: 'gate-failed' }));
  });
});
