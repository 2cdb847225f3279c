import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { gateLine, KIND_SYMBOL } from './gate-marks.js';
import { legible } from './legible.js';
import { FAINT, KIND_COLOURS } from './palette.js';

/** What a point of a front chart is; kinds differ in shape and colour both. */
export const FRONT_KINDS = ['on the front', 'beaten', 'dropped early', 'dense'] as const;
export type FrontKind = (typeof FRONT_KINDS)[number];

/** Models by what they take and what they lose. */
export interface FrontSeries {
  readonly title: string;
  readonly description: string;
  readonly points: readonly {
    readonly name: string;
    /** Of the dense model's size. */
    readonly size: number;
    /** Relative accuracy loss. */
    readonly loss: number;
    readonly kind: FrontKind;
  }[];
  /** The largest loss that the gate lets through, as a dashed line. */
  readonly limit?: number | undefined;
}

const SIZE = { width: 560, height: 320 } as const;
const MARGINS = { top: 8, right: 150, bottom: 40, left: 64 } as const;
const SHAPES: readonly string[] = ['circle', 'cross', 'triangle-up', 'square'];
/** Blue, vermilion, orange, light blue. */
const COLOURS: readonly string[] = [0, 5, 1, 4].map((index) => KIND_COLOURS[index]!);

/** Draws models as points, size across and loss upwards, the front as a line, and the gate's limit. */
export function frontChart({ title, description, points, limit }: FrontSeries): Promise<Chart> {
  const shown = points
    .filter(({ size, loss }) => Number.isFinite(size) && Number.isFinite(loss))
    .map((point) => ({ ...point, name: legible(point.name) }));
  const limits = limit === undefined || !Number.isFinite(limit) ? [] : [{ loss: limit }];
  const place = { x: { scale: 'x', field: 'size' }, y: { scale: 'y', field: 'loss' } } as const;
  const label = {
    ...place,
    text: { field: 'name' },
    dx: { value: 7 },
    baseline: { value: 'middle' },
    fontSize: { value: 9 },
  } as const;
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [
      { name: 'points', values: shown },
      { name: 'front', values: onFront(shown) },
      { name: 'limit', values: limits },
    ],
    scales: [
      {
        name: 'x',
        type: 'linear',
        nice: true,
        zero: true,
        domain: extentOf(shown.map(({ size }) => size)),
        range: 'width',
      },
      {
        name: 'y',
        type: 'linear',
        nice: true,
        domain: extentOf([...shown, ...limits].map(({ loss }) => loss)),
        range: 'height',
      },
      { name: 'shape', type: 'ordinal', domain: [...FRONT_KINDS], range: [...SHAPES] },
      { name: 'colour', type: 'ordinal', domain: [...FRONT_KINDS], range: [...COLOURS] },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: 'size, of the dense model', format: '.0%', grid: true, gridColor: FAINT },
      {
        orient: 'left',
        scale: 'y',
        title: 'relative accuracy loss',
        format: '.1%',
        grid: true,
        gridColor: FAINT,
        tickCount: 6,
      },
    ],
    legends: [{ shape: 'shape', stroke: 'colour', fill: 'colour', title: 'model' }],
    marks: [
      {
        type: 'rule',
        from: { data: 'limit' },
        encode: { enter: { ...gateLine(SIZE.width), y: { scale: 'y', field: 'loss' } } },
      },
      { type: 'line', from: { data: 'front' }, encode: { enter: { ...place, stroke: { value: COLOURS[0]! } } } },
      { type: 'symbol', from: { data: 'points' }, encode: { enter: { ...place, ...KIND_SYMBOL } } },
      { type: 'text', from: { data: 'front' }, encode: { enter: label } },
    ],
  };
  return drawChart({ title, description, ...SIZE, margins: MARGINS }, spec);
}

function onFront<P extends { readonly size: number; readonly kind: FrontKind }>(points: readonly P[]): P[] {
  return points.filter(({ kind }) => kind === 'on the front').sort((left, right) => left.size - right.size);
}

/** From the least to the greatest, with some room where they are the same. */
function extentOf(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = least === most ? Math.max(Math.abs(least), 1) * 0.05 : 0;
  return [least - room, most + room];
}
