import { describe, expect, it } from 'vitest';
import { density, histograms } from '../../src/pictures/index.js';
import { parseMarkup } from './parse-markup.js';

/** Width and height of each bar or cell of a drawing, in its order. */
function boxes(svg: string): { width: number; height: number }[] {
  const marks = [...svg.matchAll(/mark-rect role-mark[^>]*[^/]>(.*?)<\/g>/g)].map(([, paths = '']) => paths).join('');
  return [...marks.matchAll(/d="M[-\d.]+,[-\d.]+h([-\d.]+)v([-\d.]+)h/g)].map(([, width, height]) => {
    return { width: Number(width), height: Number(height) };
  });
}

const bin = (exponent: number, count: number) => ({ from: 2 ** exponent, to: 2 ** (exponent + 1), count });

describe('histograms', () => {
  it('have bars as high as their share of the panel, and zeros in words', async () => {
    const panels = [
      { name: 'a', bins: [{ from: 0, to: 2 ** -126, count: 25 }, bin(-3, 25), bin(-2, 50)] },
      { name: '<b>', bins: [bin(-2, 10)] },
    ];
    const { svg } = await histograms({ title: 't', description: 'd', unit: 'score', panels });
    const heights = boxes(svg).map(({ height }) => height);
    // Shares of a quarter, a half and one.
    expect(heights.map((height) => height / heights[2]!)).toEqual([0.25, 0.5, 1]);
    const { text } = parseMarkup(svg);
    expect(text).toContain('a, 25 % zero');
    expect(text).toContain('<b>');
  });

  it('leave out what is too low to be seen, and draw nothing of nothing', async () => {
    const panels = [{ name: 'a', bins: [bin(-60, 1), bin(-2, 1e6), bin(-1, 1e6)] }];
    const { svg } = await histograms({ title: 't', description: 'd', unit: 'score', panels });
    expect(boxes(svg)).toHaveLength(2);
    for (const none of [[], [{ name: 'a', bins: [] }], [{ name: 'a', bins: [{ from: 0, to: 2 ** -126, count: 9 }] }]]) {
      const empty = await histograms({ title: 't', description: 'd', unit: 'score', panels: none });
      expect(boxes(empty.svg)).toEqual([]);
      expect(empty.svg).not.toMatch(/NaN|undefined|Infinity/);
    }
  });
});

describe('density', () => {
  it('counts pairs in cells, and leaves out those without logarithm', async () => {
    const pairs = { x: [1, 1, 10, 0, 5], y: [1, 1, 100, 3, 0] };
    const { svg, width, height } = await density({ title: 't', description: 'd', x: 'a', y: '<b>', pairs });
    expect(boxes(svg)).toHaveLength(2);
    expect(svg).toContain(`width="${width}" height="${height}"`);
    expect(parseMarkup(svg).text).toContain('<b>');
  });

  it.each([
    [[], []],
    [[0], [1]],
    [[3], [3]],
  ])('draws %j against %j', async (x, y) => {
    const { svg } = await density({ title: 't', description: 'd', x: 'a', y: 'b', pairs: { x, y } });
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(() => parseMarkup(svg)).not.toThrow();
  });
});
