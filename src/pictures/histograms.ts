import { type Chart, drawChart } from './chart.js';
import { legible } from './legible.js';
import { KIND_COLOURS } from './palette.js';

/** Several distributions over the same values, to be laid side by side. */
export interface Histograms {
  readonly title: string;
  readonly description: string;
  /** What is counted, with its unit. */
  readonly unit: string;
  readonly panels: readonly Panel[];
}

interface Panel {
  readonly name: string;
  /** Values in [from, to), each a power of two; what lies below the smallest `from` above 0 counts as zero. */
  readonly bins: readonly { readonly from: number; readonly to: number; readonly count: number }[];
}

/** One bin, by the exponents of its bounds; `part` of the panel's values are in it. */
interface Bar {
  readonly from: number;
  readonly to: number;
  readonly part: number;
}

const COLUMNS = 4;
const WIDTH = 170;
const HEIGHT = 56;
const GAP_X = 26;
const GAP_Y = 62;
/** A bar lower than half a pixel is not seen, and would stretch the axis over the few smallest values. */
const VISIBLE = 0.5 / HEIGHT;

/** Draws a panel of bars for each distribution, all with the same axes; zeros are a figure beside the panel's name. */
export function histograms({ title, description, unit, panels }: Histograms): Promise<Chart> {
  const columns = Math.min(COLUMNS, Math.max(1, panels.length));
  const rows = Math.max(1, Math.ceil(panels.length / columns));
  const placed = panels.map(({ name, bins }, i) => ({
    name: `${legible(name)}${zeros(bins)}`,
    x: (i % columns) * (WIDTH + GAP_X),
    y: Math.floor(i / columns) * (HEIGHT + GAP_Y),
    bars: barsOf(bins),
  }));
  const all = placed.flatMap(({ bars }) => bars);
  const highest = all.reduce((most, { part }) => Math.max(most, part), 0);
  const shown = all.filter(({ part }) => part >= VISIBLE * highest);
  const domain =
    shown.length === 0 ? [0, 1] : [Math.min(...shown.map(({ from }) => from)), Math.max(...shown.map(({ to }) => to))];
  const values = placed.map((panel) => ({
    ...panel,
    bars: panel.bars.filter(({ from, to }) => from >= domain[0]! && to <= domain[1]!),
  }));
  return drawChart(
    {
      title,
      description,
      width: columns * (WIDTH + GAP_X) - GAP_X,
      height: rows * (HEIGHT + GAP_Y) - GAP_Y,
      margins: { top: 24, right: 24, bottom: 36, left: 24 },
    },
    {
      data: [{ name: 'panels', values }],
      scales: [
        { name: 'x', type: 'linear', domain, range: [0, WIDTH], zero: false },
        { name: 'y', type: 'linear', domain: [0, highest || 1], range: [HEIGHT, 0] },
      ],
      marks: [
        {
          type: 'group',
          from: { facet: { name: 'bars', data: 'panels', field: 'bars' } },
          encode: { enter: PANEL },
          title: { text: { signal: 'parent.name' }, anchor: 'start', offset: 4 },
          axes: [{ orient: 'bottom', scale: 'x', title: unit, tickCount: 4, encode: POWERS_OF_TWO }],
          marks: [{ type: 'rect', from: { data: 'bars' }, encode: { enter: BAR } }],
        },
      ],
    },
  );
}

const PANEL = {
  x: { field: 'x' },
  y: { field: 'y' },
  width: { value: WIDTH },
  height: { value: HEIGHT },
} as const;

const BAR = {
  x: { scale: 'x', field: 'from' },
  x2: { scale: 'x', field: 'to', offset: -0.5 },
  y: { scale: 'y', field: 'part' },
  y2: { scale: 'y', value: 0 },
  fill: { value: KIND_COLOURS[0] },
} as const;

const POWERS_OF_TWO = { labels: { update: { text: { signal: "format(pow(2, datum.value), '.0e')" } } } } as const;

function barsOf(bins: Panel['bins']): Bar[] {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  return bins
    .filter(({ from }) => from > 0)
    .map(({ from, to, count }) => ({ from: Math.log2(from), to: Math.log2(to), part: count / total }));
}

/** How many of the values are zero, where any are. */
function zeros(bins: Panel['bins']): string {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const none = bins.reduce((sum, { from, count }) => sum + (from > 0 ? 0 : count), 0);
  return none === 0 ? '' : `, ${((100 * none) / total).toPrecision(2)} % zero`;
}
