import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { KIND_SYMBOL } from './gate-marks.js';
import { groupColour } from './group-marks.js';
import { FAINT } from './palette.js';

/** What a group's point in time is; kinds differ in shape. */
export const LINEAGE_KINDS = ['goes on', 'born', 'last seen'] as const;
export type LineageKind = (typeof LINEAGE_KINDS)[number];

/** Sizes of groups over the waves of a run. */
export interface LineageSeries {
  readonly title: string;
  readonly description: string;
  /** What the height says. */
  readonly unit: string;
  readonly points: readonly {
    readonly wave: number;
    readonly lineage: number;
    readonly size: number;
    readonly kind: LineageKind;
  }[];
}

const SIZE = { width: 520, height: 220 } as const;
const MARGINS = { top: 8, right: 120, bottom: 40, left: 56 } as const;
const SHAPES: Readonly<Record<LineageKind, string>> = {
  'goes on': 'circle',
  born: 'triangle-up',
  'last seen': 'cross',
};

/** Draws a line for each group from wave to wave; where one begins or ends later than the others, a mark says so. */
export function lineageChart({ title, description, unit, points }: LineageSeries): Promise<Chart> {
  const values = points.map((point) => ({ ...point, colour: groupColour(point.lineage), name: String(point.lineage) }));
  const waves = [...new Set(points.map(({ wave }) => wave))].sort((a, b) => a - b);
  const shown = new Map(values.map((value) => [value.lineage, value]));
  const place = { x: { scale: 'x', field: 'wave' }, y: { scale: 'y', field: 'size' } } as const;
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [
      { name: 'points', values },
      // Each line's number is written where the line ends.
      { name: 'ends', values: [...shown.values()] },
    ],
    scales: [
      { name: 'x', type: 'point', domain: waves, range: 'width', padding: 0.2 },
      { name: 'y', type: 'linear', nice: true, zero: true, domain: { data: 'points', field: 'size' }, range: 'height' },
      { name: 'shape', type: 'ordinal', domain: [...LINEAGE_KINDS], range: LINEAGE_KINDS.map((kind) => SHAPES[kind]) },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: 'wave (0: the dense model)' },
      { orient: 'left', scale: 'y', title: unit, tickCount: 5, grid: true, gridColor: FAINT },
    ],
    legends: [{ shape: 'shape', title: 'cluster', symbolFillColor: FAINT }],
    marks: [
      {
        type: 'group',
        from: { facet: { name: 'lineage', data: 'points', groupby: 'lineage' } },
        marks: [
          {
            type: 'line',
            from: { data: 'lineage' },
            encode: { enter: { ...place, stroke: { field: 'colour' }, strokeWidth: { value: 1.5 } } },
          },
        ],
      },
      {
        type: 'symbol',
        from: { data: 'points' },
        encode: { enter: { ...place, shape: KIND_SYMBOL.shape, size: KIND_SYMBOL.size, fill: { field: 'colour' } } },
      },
      {
        type: 'text',
        from: { data: 'ends' },
        encode: {
          enter: {
            ...place,
            text: { field: 'name' },
            dx: { value: 8 },
            baseline: { value: 'middle' },
            fontSize: { value: 9 },
          },
        },
      },
    ],
  };
  return drawChart({ title, description, ...SIZE, margins: MARGINS }, spec);
}
