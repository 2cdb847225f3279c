import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { gateLine, KIND_SYMBOL } from './gate-marks.js';
import { FAINT, KIND_COLOURS } from './palette.js';

/** What became of a wave; kinds differ in shape and colour both. */
export const WAVE_KINDS = ['kept', 'kept, warned', 'rolled back', 'undone'] as const;
export type WaveKind = (typeof WAVE_KINDS)[number];

/** One figure over the waves of a run. */
export interface WaveSeries {
  readonly title: string;
  readonly description: string;
  /** What the height says, with its unit. */
  readonly unit: string;
  /** In the order of the waves; the dense model is wave 0. Values that are not finite are left out. */
  readonly points: readonly { readonly wave: number; readonly value: number; readonly kind: WaveKind }[];
  /** What the gate lets through, as a dashed line. */
  readonly limit?: number | undefined;
}

const SIZE = { width: 560, height: 170 } as const;
const MARGINS = { top: 8, right: 150, bottom: 40, left: 64 } as const;
const SHAPES: readonly string[] = ['circle', 'triangle-up', 'cross', 'square'];
/** Blue, orange, vermilion, light blue. */
const COLOURS: readonly string[] = [0, 1, 5, 4].map((index) => KIND_COLOURS[index]!);

/** Draws a figure wave by wave: a line through what was kept, a mark for each wave by what became of it, and the gate's limit. */
export function waveChart({ title, description, unit, points, limit }: WaveSeries): Promise<Chart> {
  const shown = points.filter(({ value }) => Number.isFinite(value));
  const limits = limit === undefined || !Number.isFinite(limit) ? [] : [{ value: limit }];
  const last = Math.max(1, ...shown.map(({ wave }) => wave));
  const place = { x: { scale: 'x', field: 'wave' }, y: { scale: 'y', field: 'value' } } as const;
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [
      { name: 'points', values: shown },
      { name: 'kept', values: shown.filter(({ kind }) => kind.startsWith('kept')) },
      { name: 'limit', values: limits },
    ],
    scales: [
      { name: 'x', type: 'linear', domain: [0, last], range: 'width' },
      { name: 'y', type: 'linear', nice: true, zero: false, domain: extentOf([...shown, ...limits]), range: 'height' },
      { name: 'shape', type: 'ordinal', domain: [...WAVE_KINDS], range: [...SHAPES] },
      { name: 'colour', type: 'ordinal', domain: [...WAVE_KINDS], range: [...COLOURS] },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: 'wave (0: the dense model)', tickMinStep: 1, format: 'd' },
      { orient: 'left', scale: 'y', title: unit, grid: true, gridColor: FAINT, tickCount: 5 },
    ],
    legends: [{ shape: 'shape', stroke: 'colour', fill: 'colour', title: 'wave' }],
    marks: [
      {
        type: 'rule',
        from: { data: 'limit' },
        encode: { enter: { ...gateLine(SIZE.width), y: { scale: 'y', field: 'value' } } },
      },
      { type: 'line', from: { data: 'kept' }, encode: { enter: { ...place, stroke: { value: COLOURS[0]! } } } },
      { type: 'symbol', from: { data: 'points' }, encode: { enter: { ...place, ...KIND_SYMBOL } } },
    ],
  };
  return drawChart({ title, description, ...SIZE, margins: MARGINS }, spec);
}

/** From the least to the greatest, with some room where they are the same. */
function extentOf(points: readonly { readonly value: number }[]): [number, number] {
  if (points.length === 0) return [0, 1];
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = least === most ? Math.max(Math.abs(least), 1) * 0.05 : 0;
  return [least - room, most + room];
}
