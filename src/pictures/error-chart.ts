import { type Chart, drawChart } from './chart.js';
import { FAINT, KIND_COLOURS } from './palette.js';

/** Errors along a model's blocks: what each makes itself, and all that there is behind it. */
export interface ErrorSeries {
  readonly title: string;
  readonly description: string;
  /** What the height says. */
  readonly unit: string;
  /** In order; one that is not finite is left out. */
  readonly blocks: readonly { readonly block: number; readonly own: number; readonly total: number }[];
}

const KINDS = ['its own', 'with what it was given'] as const;
const COLOURS = [KIND_COLOURS[0], KIND_COLOURS[5]] as const;
const BLOCK_WIDTH = 28;
const WIDTHS = { least: 240, most: 720 } as const;
const MARGINS = { top: 8, right: 180, bottom: 40, left: 64 } as const;

/** Draws a bar for each block's own error, and a line through the errors behind the blocks. */
export function errorChart({ title, description, unit, blocks }: ErrorSeries): Promise<Chart> {
  const shown = blocks.filter(({ own, total }) => Number.isFinite(own) && Number.isFinite(total));
  const width = Math.min(WIDTHS.most, Math.max(WIDTHS.least, blocks.length * BLOCK_WIDTH));
  const highest = shown.reduce((most, { own, total }) => Math.max(most, own, total), 0);
  const middle = { scale: 'x', field: 'block', band: 0.5 } as const;
  return drawChart(
    { title, description, width, height: 180, margins: MARGINS },
    {
      data: [{ name: 'blocks', values: shown }],
      scales: [
        { name: 'x', type: 'band', domain: { data: 'blocks', field: 'block' }, range: 'width', padding: 0.15 },
        { name: 'y', type: 'linear', domain: [0, highest === 0 ? 1 : highest], nice: true, range: 'height' },
        { name: 'kind', type: 'ordinal', domain: [...KINDS], range: [...COLOURS] },
      ],
      axes: [
        { orient: 'bottom', scale: 'x', title: 'block' },
        { orient: 'left', scale: 'y', title: unit, grid: true, gridColor: FAINT, tickCount: 5 },
      ],
      legends: [{ fill: 'kind', title: 'error', symbolType: 'square' }],
      marks: [
        {
          type: 'rect',
          from: { data: 'blocks' },
          encode: {
            enter: {
              x: { scale: 'x', field: 'block' },
              width: { scale: 'x', band: 1 },
              y: { scale: 'y', field: 'own' },
              y2: { scale: 'y', value: 0 },
              fill: { value: COLOURS[0] },
            },
          },
        },
        {
          type: 'line',
          from: { data: 'blocks' },
          encode: { enter: { x: middle, y: { scale: 'y', field: 'total' }, stroke: { value: COLOURS[1] } } },
        },
        {
          type: 'symbol',
          from: { data: 'blocks' },
          encode: {
            enter: { x: middle, y: { scale: 'y', field: 'total' }, fill: { value: COLOURS[1] }, size: { value: 36 } },
          },
        },
      ],
    },
  );
}
