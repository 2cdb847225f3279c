import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { groupScales } from './group-marks.js';
import { legible } from './legible.js';
import { FAINT } from './palette.js';

/** Things at places in a plane, each in a group or in none (`NO_GROUP`). */
export interface Scatter {
  readonly title: string;
  readonly description: string;
  /** What the two axes are. */
  readonly x: string;
  readonly y: string;
  /** What a group is, over the legend. */
  readonly group: string;
  readonly points: readonly { readonly x: number; readonly y: number; readonly group: number }[];
}

const SIZE = { width: 360, height: 300 } as const;
const MARGINS = { top: 12, right: 110, bottom: 44, left: 56 } as const;

/** Draws things as dots, coloured and shaped by group. */
export function scatter({ title, description, x, y, group, points }: Scatter): Promise<Chart> {
  const marks = groupScales(
    points.map((point) => point.group),
    group,
  );
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [{ name: 'points', values: [...points] }],
    scales: [
      ...marks.scales.map((scale) => ({ ...scale, domain: [...scale.domain], range: [...scale.range] })),
      { name: 'x', type: 'linear', nice: true, zero: false, domain: { data: 'points', field: 'x' }, range: 'width' },
      { name: 'y', type: 'linear', nice: true, zero: false, domain: { data: 'points', field: 'y' }, range: 'height' },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: legible(x), tickCount: 6, grid: true, gridColor: FAINT },
      { orient: 'left', scale: 'y', title: legible(y), tickCount: 6, grid: true, gridColor: FAINT },
    ],
    legends: [...marks.legends],
    marks: [
      {
        type: 'symbol',
        from: { data: 'points' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'x' },
            y: { scale: 'y', field: 'y' },
            fill: { scale: 'colour', field: 'group' },
            shape: { scale: 'shape', field: 'group' },
            size: { value: 22 },
            fillOpacity: { value: 0.75 },
          },
        },
      },
    ],
  };
  return drawChart({ title, description, ...SIZE, margins: MARGINS }, spec);
}
