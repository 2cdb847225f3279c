import { AMOUNT_LEGEND, type Chart, drawChart } from './chart.js';
import { legible } from './legible.js';
import { AMOUNT_SCHEME } from './palette.js';

/** One amount for each pair of a column and a row. */
export interface Heatmap {
  readonly title: string;
  readonly description: string;
  /** What columns and rows are, and their names, in order. */
  readonly columns: { readonly title: string; readonly names: readonly string[] };
  readonly rows: { readonly title: string; readonly names: readonly string[] };
  /** A pair that is missing stays empty. */
  readonly cells: readonly { readonly column: number; readonly row: number; readonly value: number }[];
  /** What the colour says, with its unit. */
  readonly unit: string;
  /** Amounts over several powers of ten: colours go by the logarithm; 0 takes the colour of the smallest other amount. */
  readonly logarithmic?: boolean;
}

const ROW_HEIGHT = 22;
const MAX_WIDTH = 720;
const MAX_CELL_WIDTH = 40;
/** Vega estimates a character of its 10-pixel labels at 8 pixels; a little more than real. */
const CHARACTER_WIDTH = 6.5;
const MAX_LABEL_WIDTH = 220;

/** Draws the amounts as a grid of colours with a scale beside it. */
export function heatmap(map: Heatmap): Promise<Chart> {
  const { columns, rows, cells } = map;
  const logarithmic = map.logarithmic === true && cells.some(({ value }) => value > 0);
  const width = Math.round(Math.min(MAX_WIDTH, Math.max(160, columns.names.length * MAX_CELL_WIDTH)));
  // Below 5 rows the scale beside the grid has no room for its labels.
  const height = Math.max(5, rows.names.length) * ROW_HEIGHT;
  const rowNames = rows.names.map(legible);
  const labelWidth = Math.min(MAX_LABEL_WIDTH, Math.max(...rowNames.map((name) => name.length), 1) * CHARACTER_WIDTH);
  const margins = { top: 8, right: 90, bottom: 40, left: Math.ceil(labelWidth) + 32 };
  const shades = shadesOf(cells, logarithmic);
  const steps = stepsOf(shades, logarithmic);
  return drawChart(
    { title: map.title, description: map.description, width, height, margins },
    {
      data: [
        { name: 'cells', values: shades },
        { name: 'columns', values: columns.names.map((name, index) => ({ index, name: legible(name) })) },
        { name: 'rows', values: rowNames.map((name, index) => ({ index, name })) },
      ],
      scales: [
        { name: 'x', type: 'band', domain: { data: 'columns', field: 'index' }, range: 'width' },
        { name: 'y', type: 'band', domain: { data: 'rows', field: 'index' }, range: 'height' },
        { name: 'colour', type: logarithmic ? 'log' : 'linear', ...COLOURS },
      ],
      axes: [
        { orient: 'bottom', scale: 'x', title: columns.title, encode: labelsFrom('columns') },
        { orient: 'left', scale: 'y', title: rows.title, labelLimit: MAX_LABEL_WIDTH, encode: labelsFrom('rows') },
      ],
      legends: steps.length === 0 ? [] : [{ fill: 'colour', title: map.unit, values: steps, ...AMOUNT_LEGEND }],
      marks: [{ type: 'rect', from: { data: 'cells' }, encode: { enter: CELL } }],
    },
  );
}

const COLOURS = {
  domain: { data: 'cells', field: 'shade' },
  range: { scheme: AMOUNT_SCHEME },
} as const;

const CELL = {
  x: { scale: 'x', field: 'column' },
  y: { scale: 'y', field: 'row' },
  width: { scale: 'x', band: 1 },
  height: { scale: 'y', band: 1 },
  fill: { scale: 'colour', field: 'shade' },
} as const;

/** By position, since two names may read the same. */
function labelsFrom(data: 'columns' | 'rows') {
  return { labels: { update: { text: { signal: `data('${data}')[datum.value].name` } } } };
}

/** The cells with what their colour goes by: on a logarithmic scale 0 has no place, and takes that of the smallest other. */
function shadesOf(cells: Heatmap['cells'], logarithmic: boolean) {
  const smallest = cells.reduce((least, { value }) => (value > 0 && value < least ? value : least), Number.MAX_VALUE);
  return cells.map((cell) => ({ ...cell, shade: logarithmic ? Math.max(cell.value, smallest) : cell.value }));
}

/** Five amounts from the smallest to the largest, evenly spaced as the colours are. */
function stepsOf(shades: readonly { readonly shade: number }[], logarithmic: boolean): number[] {
  const low = shades.reduce((least, { shade }) => Math.min(least, shade), Number.POSITIVE_INFINITY);
  const high = shades.reduce((most, { shade }) => Math.max(most, shade), Number.NEGATIVE_INFINITY);
  if (!(low < high)) return shades.length === 0 ? [] : [low];
  const fractions = [0, 0.25, 0.5, 0.75, 1];
  return fractions.map((part) => (logarithmic ? low ** (1 - part) * high ** part : low + (high - low) * part));
}
