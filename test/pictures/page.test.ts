import { describe, expect, it } from 'vitest';
import { type Chart, escapeMarkup, heatmap, legible, page, sheet } from '../../src/pictures/index.js';
import { parseMarkup } from './parse-markup.js';

const HOSTILE = '<script>alert(1)</script>"\'&\u0000\u202e\ud800';

function chartOf(names: readonly string[]): Promise<Chart> {
  return heatmap({
    title: `Scores of ${names[0]}`,
    description: `${names.length} rows`,
    columns: { title: 'block', names: ['0', '1'] },
    rows: { title: 'role', names },
    cells: names.flatMap((_, row) => [
      { column: 0, row, value: row },
      { column: 1, row, value: 10 ** row },
    ]),
    unit: 'mean score',
    logarithmic: true,
  });
}

describe('a picture', () => {
  it.each([
    ['page', page],
    ['sheet', sheet],
  ] as const)('as a %s holds names from a hostile checkpoint as text alone', async (_, draw) => {
    const charts = [await chartOf([HOSTILE, 'q'])];
    const sections = [{ heading: HOSTILE, text: HOSTILE, charts }];
    const document = parseMarkup(draw({ title: legible(HOSTILE), text: legible(HOSTILE), sections }));
    expect(document.elements).not.toContain('script');
    expect(document.attributes.filter((name) => name.startsWith('on') || name.endsWith('href'))).toEqual([]);
    expect(document.text).toContain('<script>alert(1)</script>');
  });

  it.each([
    ['page', page],
    ['sheet', sheet],
  ] as const)('as a %s has the same bytes each time, and no ids that several charts would share', async (_, draw) => {
    const make = async () => draw({ title: 't', sections: [{ heading: 'h', charts: [await chartOf(['q', 'k'])] }] });
    const first = await make();
    expect(await make()).toBe(first);
    expect(parseMarkup(first).attributes).not.toContain('id');
  });

  it('says in words what each chart shows, and asks nobody for anything', async () => {
    const html = page({ title: 't', sections: [{ heading: 'h', charts: [await chartOf(['q'])] }] });
    expect(html).toContain('role="img" aria-label="Scores of q. 1 rows"');
    expect(html).toContain('default-src &#39;none&#39;');
    expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/)/);
    expect(html).not.toMatch(/<(script|link|img|iframe|object|embed)/i);
  });

  it('puts the tables of a section into a page', () => {
    const tables = [{ caption: 'Counts', header: ['role', 'kept'], rows: [['<q>', '3']] }];
    const { text, elements } = parseMarkup(page({ title: 't', sections: [{ heading: 'h', charts: [], tables }] }));
    expect(text).toContain('<q>');
    expect(elements.filter((name) => name === 'td')).toHaveLength(2);
  });

  it('draws a cell for each amount, darker for less, and leaves missing ones out', async () => {
    const cells = [
      { column: 0, row: 0, value: 0 },
      { column: 1, row: 0, value: 5 },
      { column: 0, row: 1, value: 10 },
    ];
    const named = (title: string) => ({ title, names: ['a', 'a'] });
    const { svg } = await heatmap({
      title: 't',
      description: 'd',
      columns: named('x'),
      rows: named('y'),
      cells,
      unit: 'u',
    });
    const grid = /role-mark"[^>]*>(.*?)<\/g>/.exec(svg)?.[1] ?? '';
    const fills = [...grid.matchAll(/fill="rgb\((\d+), (\d+), (\d+)\)"/g)].map(([, r, g, b]) => +r! + +g! + +b!);
    expect(fills).toHaveLength(3);
    expect(fills).toEqual(fills.toSorted((a, b) => a - b));
    // Two columns of the same name are two columns.
    expect(svg.match(/>a<\/text>/g)).toHaveLength(4);
  });

  it.each([[[]], [[{ column: 0, row: 0, value: 0 }]]])('draws amounts that have no logarithm: %j', async (cells) => {
    const axis = { title: 'x', names: ['a'] };
    const chart = heatmap({
      title: 't',
      description: 'd',
      columns: axis,
      rows: axis,
      cells,
      unit: 'u',
      logarithmic: true,
    });
    expect((await chart).svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('legible', () => {
  it.each([
    ['model.layers.0.q_proj', 'model.layers.0.q_proj'],
    ['a\u0000b\u202ec\nd', 'a\\u{0}b\\u{202e}c\\u{a}d'],
    ['\ud800x', '\ufffdx'],
    ['a'.repeat(500), `${'a'.repeat(59)}…${'a'.repeat(60)}`],
  ])('shows %j as %j', (name, shown) => expect(legible(name)).toBe(shown));

  it('escapes everything that markup reads', () => {
    expect(escapeMarkup('<a href="x">&\'')).toBe('&#60;a href=&#34;x&#34;&#62;&#38;&#39;');
  });
});
