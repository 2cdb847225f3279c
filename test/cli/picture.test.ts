import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bar, sparkline, table } from '../../src/cli/picture.js';

describe('sparkline', () => {
  it('rises from the lowest to the highest block', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe('▁▂▃▄▅▆▇█');
  });

  it('keeps to the bounds that it is given', () => {
    expect(sparkline([0.5, 0.5], { min: 0, max: 1 })).toBe('▅▅');
    expect(sparkline([-1, 2], { min: 0, max: 1 })).toBe('▁█');
  });

  it('draws equal values flat, and marks what is not a number', () => {
    expect(sparkline([3, 3, 3])).toBe('▁▁▁');
    expect(sparkline([0, Number.NaN, 1])).toBe('▁?█');
    expect(sparkline([])).toBe('');
  });

  it('has one character a value and never puts a larger value lower', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 2 }), (values) => {
        const sorted = [...values].sort((a, b) => a - b);
        const line = [...sparkline(sorted)];
        expect(line).toHaveLength(values.length);
        expect([...line].sort()).toEqual(line);
      }),
    );
  });
});

describe('bar', () => {
  it.each([
    [0, '····'],
    [1, '████'],
    [0.5, '██··'],
    [0.53125, '██▏·'],
    [7, '████'],
    [-1, '····'],
  ])('fills %d of four cells', (fraction, drawn) => {
    expect(bar(fraction, 4)).toBe(drawn);
  });
});

describe('table', () => {
  it('aligns text to the left and numbers to the right, without trailing blanks', () => {
    const rows = [
      ['q_proj', '1.5', 'x'],
      ['down', '10.25', ''],
    ];
    expect(table(rows, ['name', 'ppl', 'y'])).toBe('name      ppl  y\nq_proj    1.5  x\ndown    10.25');
  });
});
