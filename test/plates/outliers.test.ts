import { describe, expect, test } from 'vitest';
import { OUTLIER_FACTOR, protectOutliers, ResidualSquares } from '../../src/plates/index.js';

const range = { kind: 'hidden', start: 0, count: 6 } as const;
const where = 'the residual stream before block 2';

describe('outlier channels', () => {
  test('are protected with the figure that makes them one', () => {
    // The median of 1, 1, 2, 2, 3 is 2: the silent channel does not count.
    const found = protectOutliers({ range, norms: Float64Array.of(1, 2, 100, 0, 2, 1), where });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      plates: { kind: 'hidden', start: 2, count: 1 },
      reason: 'outlier-channel',
      why: `its norm in ${where} is 50 times the median channel's, above ${OUTLIER_FACTOR}`,
    });
    expect(found[0]!.release).toBeCloseTo(Math.log10(50 / OUTLIER_FACTOR), 12);
  });

  test('are released later the larger they are, and not below the factor at all', () => {
    const releaseOf = (norm: number) =>
      protectOutliers({ range, norms: Float64Array.of(1, 1, 1, 1, 1, norm), where })[0]?.release;
    expect(releaseOf(OUTLIER_FACTOR)).toBeUndefined();
    expect(releaseOf(OUTLIER_FACTOR * 1.01)).toBeLessThan(0.01);
    expect(releaseOf(OUTLIER_FACTOR * 10)).toBeCloseTo(1, 12);
    expect(releaseOf(OUTLIER_FACTOR * 100)).toBeGreaterThan(1);
  });

  test('are attention sinks when the first tokens carry them, and never released', () => {
    const norms = Float64Array.of(1, 1, 1, 1, 1, 40);
    const shares = Float64Array.of(0, 0, 0, 0, 0, 0.9);
    expect(protectOutliers({ range, norms, firstTokenShares: shares, where })[0]).toMatchObject({
      reason: 'attention-sink',
      release: Number.POSITIVE_INFINITY,
      why: expect.stringContaining('90 % of its square in the first tokens'),
    });
  });

  test('of nothing but silence are none', () => {
    expect(protectOutliers({ range, norms: new Float64Array(6), where })).toEqual([]);
  });
});

test('squares of the residual stream leave padding out and keep first tokens apart', () => {
  const squares = new ResidualSquares(2);
  // Two windows of 3 and 2 tokens, padded to 3; the padding would be seen.
  squares.add(Float32Array.of(3, 0, 1, 1, 2, 1, 4, 0, 0, 2, 99, 99), { columns: 3, lengths: Int32Array.of(3, 2) });
  const { norms, firstTokenShares } = squares.finish();
  expect([...norms]).toEqual([Math.sqrt(9 + 1 + 4 + 16), Math.sqrt(1 + 1 + 4)]);
  expect([...firstTokenShares]).toEqual([25 / 30, 0]);
});
