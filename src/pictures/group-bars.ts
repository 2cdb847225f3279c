import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { groupColour } from './group-marks.js';
import { legible } from './legible.js';
import { FAINT } from './palette.js';

/** One amount for each group. */
export interface GroupBars {
  readonly title: string;
  readonly description: string;
  /** What a group is, and what the amount is. */
  readonly group: string;
  readonly unit: string;
  readonly bars: readonly { readonly group: number; readonly value: number }[];
}

const BAR_WIDTH = 26;
const HEIGHT = 150;
const MARGINS = { top: 16, right: 16, bottom: 40, left: 56 } as const;

/** Draws a bar for each group, in its colour, with its amount above. */
export function groupBars({ title, description, group, unit, bars }: GroupBars): Promise<Chart> {
  const width = Math.max(120, bars.length * BAR_WIDTH);
  const values = bars.map((bar) => ({ ...bar, name: String(bar.group), colour: groupColour(bar.group) }));
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [{ name: 'bars', values }],
    scales: [
      { name: 'x', type: 'band', domain: values.map(({ name }) => name), range: 'width', padding: 0.2 },
      { name: 'y', type: 'linear', nice: true, zero: true, domain: { data: 'bars', field: 'value' }, range: 'height' },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: legible(group) },
      { orient: 'left', scale: 'y', title: legible(unit), tickCount: 4, grid: true, gridColor: FAINT },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'bars' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'name' },
            width: { scale: 'x', band: 1 },
            y: { scale: 'y', field: 'value' },
            y2: { scale: 'y', value: 0 },
            fill: { field: 'colour' },
          },
        },
      },
      {
        type: 'text',
        from: { data: 'bars' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'name', band: 0.5 },
            y: { scale: 'y', field: 'value', offset: -4 },
            text: { signal: "format(datum.value, '.3~s')" },
            align: { value: 'center' },
            fontSize: { value: 9 },
          },
        },
      },
    ],
  };
  return drawChart({ title, description, width, height: HEIGHT, margins: MARGINS }, spec);
}
