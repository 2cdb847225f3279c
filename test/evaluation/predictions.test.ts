import { describe, expect, it } from 'vitest';
import { predictionsOf } from '../../src/evaluation/predictions.js';
import { batchesOf } from '../../src/model/index.js';

describe('predictionsOf', () => {
  it('scores each real id but the first, from the position before it', () => {
    const [batch] = batchesOf(
      [[7, 8], [1, 2, 3], [9]].map((ids) => ({ ids: Int32Array.from(ids) })),
      100,
    );
    const { positions, targets, passages } = predictionsOf(batch!);
    expect([...positions]).toEqual([0, 1, 3]);
    expect([...targets]).toEqual([2, 3, 8]);
    expect([...passages]).toEqual([1, 1, 0]);
  });
});
