import { type Chart, drawChart } from './chart.js';
import { FAINT, KIND_COLOURS } from './palette.js';

/** What sparsities cost. */
export interface DivergenceSeries {
  readonly title: string;
  readonly description: string;
  /** Fractions removed, and mean KL from the dense model in nats; a point that is not finite is left out. */
  readonly points: readonly { readonly sparsity: number; readonly divergence: number }[];
  /** The sparsity that was chosen: a larger point. */
  readonly taken: number;
}

const SIZE = { width: 560, height: 240 } as const;
const MARGINS = { top: 8, right: 24, bottom: 40, left: 64 } as const;
/** Areas of the points, px². */
const AREAS = { taken: 120, other: 40 } as const;

/** Draws sparsities across and what they cost upwards, joined by a line. */
export function divergenceChart({ title, description, points, taken }: DivergenceSeries): Promise<Chart> {
  const finite = points.filter(({ sparsity, divergence }) => Number.isFinite(sparsity) && Number.isFinite(divergence));
  const nearest = Math.min(...finite.map(({ sparsity }) => Math.abs(sparsity - taken)));
  const shown = finite
    .map((point) => ({ ...point, area: Math.abs(point.sparsity - taken) === nearest ? AREAS.taken : AREAS.other }))
    .sort((a, b) => a.sparsity - b.sparsity);
  const place = { x: { scale: 'x', field: 'sparsity' }, y: { scale: 'y', field: 'divergence' } } as const;
  const [colour] = KIND_COLOURS;
  return drawChart(
    { title, description, ...SIZE, margins: MARGINS },
    {
      data: [{ name: 'points', values: shown }],
      scales: [
        { name: 'x', type: 'linear', nice: true, zero: false, domain: extent(shown, 'sparsity'), range: 'width' },
        { name: 'y', type: 'linear', nice: true, zero: true, domain: extent(shown, 'divergence'), range: 'height' },
      ],
      axes: [
        { orient: 'bottom', scale: 'x', title: 'sparsity', format: '.0%', grid: true, gridColor: FAINT },
        { orient: 'left', scale: 'y', title: 'divergence, nats', grid: true, gridColor: FAINT, tickCount: 5 },
      ],
      marks: [
        { type: 'line', from: { data: 'points' }, encode: { enter: { ...place, stroke: { value: colour! } } } },
        {
          type: 'symbol',
          from: { data: 'points' },
          encode: { enter: { ...place, size: { field: 'area' }, fill: { value: colour! } } },
        },
      ],
    },
  );
}

function extent<Field extends string>(points: readonly Record<Field, number>[], field: Field): [number, number] {
  if (points.length === 0) return [0, 1];
  const values = points.map((point) => point[field]);
  return [Math.min(...values), Math.max(...values)];
}
