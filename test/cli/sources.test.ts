import { describe, expect, it } from 'vitest';
import { sourcesOf } from '../../src/cli/sources.js';

describe('sourcesOf', () => {
  it('tells flags, environment, recipe and defaults apart', () => {
    const resolved = { out: 'o', maxDrop: 0.01, seed: 7, model: 'm', maxShardBytes: 5e9 };
    const sources = sourcesOf(resolved, {
      written: { model: 'm', out: 'other', maxDrop: 0.5 },
      overrides: { out: 'o', maxDrop: 0.01, seed: 7 },
      argv: ['r.json', '--max-drop=1%', '--out', 'o'],
    });
    expect(sources).toEqual({
      out: 'flag',
      maxDrop: 'flag',
      seed: 'environment',
      model: 'recipe',
      maxShardBytes: 'default',
    });
  });
});
