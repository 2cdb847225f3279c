import { AMOUNT_LEGEND, type Chart, drawChart } from './chart.js';
import { legible } from './legible.js';
import { AMOUNT_SCHEME } from './palette.js';

/** Pairs of positive values, as a cloud. */
export interface Density {
  readonly title: string;
  readonly description: string;
  /** What the two values are, with their units. */
  readonly x: string;
  readonly y: string;
  readonly pairs: { readonly x: readonly number[]; readonly y: readonly number[] };
}

const CELLS = 48;
const SIDE = 336;

/**
 * Draws how many pairs lie where, both axes and the colours by their logarithms: dots would hide each other. Pairs with a zero
 * have no place on a logarithmic axis and are left out.
 */
export function density({ title, description, x, y, pairs }: Density): Promise<Chart> {
  const { cells, ranges } = countPairs(pairs);
  const most = cells.reduce((largest, { count }) => Math.max(largest, count), 2);
  const steps = [1, 10, 100, 1000, 10_000].filter((step) => step <= most);
  return drawChart(
    {
      title,
      description,
      width: SIDE,
      height: SIDE,
      margins: { top: 12, right: 96, bottom: 44, left: 80 },
    },
    {
      data: [{ name: 'cells', values: cells }],
      scales: [
        { name: 'x', type: 'linear', domain: ranges.x, range: 'width', zero: false },
        { name: 'y', type: 'linear', domain: ranges.y, range: 'height', zero: false },
        {
          name: 'colour',
          type: 'log',
          domain: [1, most],
          range: { scheme: AMOUNT_SCHEME },
        },
      ],
      axes: [
        { orient: 'bottom', scale: 'x', title: legible(x), tickCount: 6, encode: POWERS_OF_TEN },
        { orient: 'left', scale: 'y', title: legible(y), tickCount: 6, encode: POWERS_OF_TEN },
      ],
      legends: [{ fill: 'colour', title: 'weights', values: steps, ...AMOUNT_LEGEND }],
      marks: [{ type: 'rect', from: { data: 'cells' }, encode: { enter: CELL } }],
    },
  );
}

const CELL = {
  x: { scale: 'x', field: 'left' },
  x2: { scale: 'x', field: 'right' },
  y: { scale: 'y', field: 'low' },
  y2: { scale: 'y', field: 'high' },
  fill: { scale: 'colour', field: 'count' },
} as const;

const POWERS_OF_TEN = { labels: { update: { text: { signal: "format(pow(10, datum.value), '.1e')" } } } } as const;

/** The cells that hold any pair, bounds as exponents of ten. */
function countPairs({ x, y }: Density['pairs']) {
  const shown = [...x.keys()].filter((i) => x[i]! > 0 && y[i]! > 0);
  const ranges = { x: rangeOf(shown.map((i) => x[i]!)), y: rangeOf(shown.map((i) => y[i]!)) };
  const counts = new Map<number, number>();
  for (const i of shown) {
    const cell = cellOf(x[i]!, ranges.x) * CELLS + cellOf(y[i]!, ranges.y);
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  const bound = ([low, high]: readonly [number, number], at: number) => low + ((high - low) * at) / CELLS;
  const cells = [...counts].map(([cell, count]) => {
    const [column, row] = [Math.floor(cell / CELLS), cell % CELLS];
    return {
      left: bound(ranges.x, column),
      right: bound(ranges.x, column + 1),
      low: bound(ranges.y, row),
      high: bound(ranges.y, row + 1),
      count,
    };
  });
  return { cells, ranges: { x: [...ranges.x], y: [...ranges.y] } };
}

/** Of all but the smallest thousandth, which would take half of the axis. */
function rangeOf(values: readonly number[]): readonly [number, number] {
  if (values.length === 0) return [0, 1];
  const sorted = Float64Array.from(values, Math.log10).sort();
  const low = sorted[Math.floor(sorted.length / 1000)]!;
  const high = sorted[sorted.length - 1]!;
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

function cellOf(value: number, [low, high]: readonly [number, number]): number {
  const at = Math.floor((CELLS * (Math.log10(value) - low)) / (high - low));
  return Math.min(CELLS - 1, Math.max(0, at));
}
