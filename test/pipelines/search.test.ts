import { describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { page } from '../../src/pictures/index.js';
import { foundRun, search, searchFolder } from '../../src/pipelines/index.js';
import { searchPicture } from '../../src/pipelines/search-picture.js';
import { run } from '../../src/waves/index.js';
import { at, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const steps = [
  { do: 'prune', pattern: '2:4', metric: 'magnitude', waves: 3 },
  { do: 'quantize', scheme: 'nf4', groupSize: 16 },
];
/** A random model loses little by anything; what a gate lets through here is what perplexity says of pruning half of it. */
const settings = (change: Record<string, unknown> = {}) =>
  recipe({ steps, gate: 'perplexity<1.5x', evaluation: { limit: 5, context: 32 }, ...change });

describe('a search', () => {
  it('finds the smallest candidate inside the gate, and goes on where it was interrupted', {
    timeout: 300_000,
  }, async () => {
    const options = { recipe: settings(), device: 'cpu', diffs: at('diffs') } as const;
    const controller = new AbortController();
    const report = (event: Event) => {
      if (event.type === 'progress' && event.unit === 'candidates' && event.done === 1) controller.abort();
    };
    const stopped = search({ ...options, report, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    const made = Object.entries(contentsOf(searchFolder(options))).filter(([name]) => /model|objects/.test(name));
    expect(made.length).toBeGreaterThan(0);

    const found = await search(options);
    const after = contentsOf(searchFolder(options));
    for (const [name, digest] of made) expect([name, after[name]]).toEqual([name, digest]);
    expect(found.rounds).toEqual([
      { passages: 4, candidates: 3 },
      { passages: 5, candidates: 3 },
    ]);
    const names = ['prune 2:4', 'prune 2:4 + quantize nf4', 'quantize nf4'];
    expect(found.tried.map(({ name }) => name).sort()).toEqual(names);
    const inside = found.tried.filter(({ pass }) => pass).map(({ bytes }) => bytes);
    expect(found.best!.bytes).toBe(Math.min(...inside));

    // Another one reads what the first has made and measured.
    expect(await search(options)).toEqual(found);
    expect(contentsOf(searchFolder(options))).toEqual(after);

    const result = await run(foundRun(options, found));
    expect(result.result['perplexityRatio']).toBeCloseTo(found.best!.perplexityRatio, 6);
    const html = page(await searchPicture(found));
    for (const name of names) expect(html).toContain(name);
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
  });

  it('needs a gate, and publishes nothing when no candidate passes it', { timeout: 300_000 }, async () => {
    const options = { recipe: settings({ gate: undefined, maxDrop: 1 }), device: 'cpu' } as const;
    await expect(search(options)).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(/no gate/) });
    const strict = { recipe: settings({ gate: 'perplexity<0.5x', steps: [steps[1]] }), device: 'cpu' } as const;
    const found = await search(strict);
    expect(found.best).toBeNull();
    expect(() => foundRun(strict, found)).toThrow(expect.objectContaining({ code: 'gate-failed' }));
  });
});
