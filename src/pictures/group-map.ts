import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { groupColour } from './group-marks.js';
import { legible } from './legible.js';

/** Groups as places in a plane, and the ways between them. */
export interface GroupMap {
  readonly title: string;
  readonly description: string;
  readonly x: string;
  readonly y: string;
  /** By number; `size` is drawn as area. */
  readonly groups: readonly { readonly x: number; readonly y: number; readonly size: number }[];
  /** Lengths are written beside them. */
  readonly edges: readonly { readonly from: number; readonly to: number; readonly distance: number }[];
}

const SIZE = { width: 360, height: 260 } as const;
const MARGINS = { top: 24, right: 40, bottom: 44, left: 76 } as const;
/** Discs at the ends of the axes are whole, in pixels. */
const PADDING = 18;
/** In square pixels. */
const LARGEST_AREA = 900;
const SMALLEST_AREA = 60;

/** Draws groups as numbered discs and the edges between them as lines. */
export function groupMap({ title, description, x, y, groups, edges }: GroupMap): Promise<Chart> {
  const largest = groups.reduce((most, { size }) => Math.max(most, size), 1);
  const discs = groups.map((group, number) => ({
    ...group,
    name: String(number),
    colour: groupColour(number),
    area: Math.max(SMALLEST_AREA, (LARGEST_AREA * group.size) / largest),
  }));
  const lines = edges.map(({ from, to, distance }) => {
    const [a, b] = [groups[from]!, groups[to]!];
    return { x: a.x, y: a.y, x2: b.x, y2: b.y, midX: (a.x + b.x) / 2, midY: (a.y + b.y) / 2, distance };
  });
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [
      { name: 'groups', values: discs },
      { name: 'edges', values: lines },
    ],
    scales: [
      {
        name: 'x',
        type: 'linear',
        padding: PADDING,
        zero: false,
        domain: { data: 'groups', field: 'x' },
        range: 'width',
      },
      {
        name: 'y',
        type: 'linear',
        padding: PADDING,
        zero: false,
        domain: { data: 'groups', field: 'y' },
        range: 'height',
      },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: legible(x), tickCount: 6 },
      { orient: 'left', scale: 'y', title: legible(y), tickCount: 6 },
    ],
    marks: [
      { type: 'rule', from: { data: 'edges' }, encode: { enter: EDGE } },
      { type: 'text', from: { data: 'edges' }, encode: { enter: LENGTH } },
      { type: 'symbol', from: { data: 'groups' }, encode: { enter: DISC } },
      { type: 'text', from: { data: 'groups' }, encode: { enter: NUMBER } },
    ],
  };
  return drawChart({ title, description, ...SIZE, margins: MARGINS }, spec);
}

const EDGE = {
  x: { scale: 'x', field: 'x' },
  y: { scale: 'y', field: 'y' },
  x2: { scale: 'x', field: 'x2' },
  y2: { scale: 'y', field: 'y2' },
  stroke: { value: 'currentColor' },
  strokeOpacity: { value: 0.6 },
} as const;

const LENGTH = {
  x: { scale: 'x', field: 'midX' },
  y: { scale: 'y', field: 'midY', offset: -3 },
  text: { signal: "format(datum.distance, '.2f')" },
  fontSize: { value: 9 },
  align: { value: 'center' },
} as const;

const DISC = {
  x: { scale: 'x', field: 'x' },
  y: { scale: 'y', field: 'y' },
  size: { field: 'area' },
  fill: { field: 'colour' },
} as const;

const NUMBER = {
  x: { scale: 'x', field: 'x' },
  y: { scale: 'y', field: 'y' },
  text: { field: 'name' },
  align: { value: 'center' },
  baseline: { value: 'middle' },
  fontSize: { value: 10 },
  // On colours of medium lightness, whatever the page's own.
  fill: { value: '#000' },
} as const;
