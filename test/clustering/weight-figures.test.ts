import { describe, expect, it } from 'vitest';
import type { Leg } from '../../src/clustering/legs.js';
import { legFigures, legProfiles } from '../../src/clustering/weight-figures.js';

// [3, 4]
const WEIGHT = { values: Float32Array.from([3, 0, 4, 0, 1, 1, 1, 1, 0, 0, 0, 2]), rows: 3, columns: 4 };
const rows: Leg = { name: 'w', weight: 'w', way: 'reads', of: (index) => [index] };
const columns: Leg = { name: 'w', weight: 'w', way: 'writes', of: (index) => [index] };

describe('figures of a leg', () => {
  it('of rows are their length, kurtosis and zeros', () => {
    const { norm, kurtosis, zeros } = legFigures(rows, WEIGHT, 3);
    expect([...norm]).toEqual([5, 2, 2]);
    expect([...zeros]).toEqual([0.5, 0, 0.75]);
    // 3, 0, 4, 0 about 1.75: Σd⁴ = 46.828125, Σd² = 12.75; n Σd⁴ / (Σd²)² − 3. The second row does not vary.
    expect(kurtosis[0]).toBeCloseTo((4 * 46.828125) / 12.75 ** 2 - 3, 12);
    expect(kurtosis[1]).toBe(0);
    // One of four: (1 − 3p(1 − p)) / (p(1 − p)) − 3 with p = 1/4.
    expect(kurtosis[2]).toBeCloseTo((1 - 3 * 0.1875) / 0.1875 - 3, 12);
  });

  it('of columns go down the weight', () => {
    const { norm, zeros } = legFigures(columns, WEIGHT, 4);
    expect([...norm].map((value) => value ** 2)).toEqual([10, 1, 17, 5].map((value) => expect.closeTo(value, 12)));
    expect([...zeros]).toEqual([1 / 3, 2 / 3, 1 / 3, 1 / 3]);
  });

  it('of no weights are 0', () => {
    const { norm, kurtosis, zeros } = legFigures({ ...rows, of: () => [] }, WEIGHT, 2);
    expect([...norm, ...kurtosis, ...zeros]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe('profiles of a leg', () => {
  it('of single rows and columns have their signs and length 1', () => {
    const negated = { ...WEIGHT, values: WEIGHT.values.map((value) => -value) };
    const { values, width } = legProfiles(rows, negated, 3);
    expect(width).toBe(4);
    expect([...values].slice(0, 4)).toEqual([-0.6, 0, -0.8, 0].map((value) => expect.closeTo(value, 6)));
    const across = legProfiles(columns, WEIGHT, 4);
    expect(across.width).toBe(3);
    expect([...across.values].slice(3, 6)).toEqual([0, 1, 0]);
  });

  it('of several rows do not change when those are turned among each other', () => {
    const head: Leg = { ...rows, of: () => [0, 2] };
    const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
    const [first, , third] = [0, 1, 2].map((row) => WEIGHT.values.slice(row * 4, row * 4 + 4));
    const turned = Float32Array.from(WEIGHT.values);
    for (let i = 0; i < 4; i += 1) {
      turned[i] = c * first![i]! - s * third![i]!;
      turned[8 + i] = s * first![i]! + c * third![i]!;
    }
    const before = legProfiles(head, WEIGHT, 1).values;
    const after = legProfiles(head, { ...WEIGHT, values: turned }, 1).values;
    expect([...after]).toEqual([...before].map((value) => expect.closeTo(value, 6)));
    expect([...before]).toEqual([3, 0, 4, 2].map((value) => expect.closeTo(value / Math.sqrt(29), 6)));
  });
});
