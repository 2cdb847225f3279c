import { type Chart, drawChart, KIND_COLOURS, legible } from '../pictures/index.js';
import type { PlateStatus } from './listing.js';

/** One block's plates of a kind, or the model's: what each is, by index. */
export interface PlateRow {
  readonly name: string;
  readonly statuses: readonly PlateStatus[];
}

export interface PlatesChart {
  readonly title: string;
  /** What the plates in a row are, for the axis: "channel". */
  readonly unit: string;
  readonly rows: readonly PlateRow[];
}

/** Boxes in a row at most; each then shows its parts shed, protected and kept, one above the other. */
const MOST_BOXES = 96;
const WIDTH = 672;
const MOST_HEIGHT = 640;

/** Told apart by all readers; shed is also the only one that is not blue or green to those who see few colours. */
const COLOURS: Readonly<Record<PlateStatus, string>> = {
  kept: KIND_COLOURS[0],
  protected: KIND_COLOURS[2],
  shed: KIND_COLOURS[1],
};
/** From the bottom of a box to its top. */
const ORDER: readonly PlateStatus[] = ['kept', 'protected', 'shed'];

/** Draws rows of plates as boxes, blocks below each other; of many plates a box shows the shares of several. */
export function platesChart({ title, unit, rows }: PlatesChart): Promise<Chart> {
  const longest = Math.max(...rows.map(({ statuses }) => statuses.length));
  const rowHeight = Math.min(18, Math.max(4, Math.floor(MOST_HEIGHT / rows.length)));
  const perBox = Math.ceil(longest / MOST_BOXES);
  const description = `${rows.length} rows of up to ${longest} plates${perBox > 1 ? `, ${perBox} to a box` : ''}: ${shares(rows)}`;
  const names = rows.map(({ name }) => legible(name));
  const left = 40 + 7 * Math.max(...names.map((name) => name.length));
  const values = rows.flatMap((row, index) => boxesOf(row, perBox).map((box) => ({ ...box, row: index })));
  const height = rows.length * rowHeight;
  return drawChart({ title, description, width: WIDTH, height, margins: { top: 8, right: 110, bottom: 42, left } }, {
    data: [
      { name: 'boxes', values },
      { name: 'rows', values: names.map((name, index) => ({ index, name })) },
    ],
    scales: [
      { name: 'x', type: 'linear', domain: [0, longest], range: 'width', nice: false },
      { name: 'y', type: 'band', domain: { data: 'rows', field: 'index' }, range: 'height', paddingInner: 0.15 },
      {
        name: 'name',
        type: 'ordinal',
        domain: { data: 'rows', field: 'index' },
        range: { data: 'rows', field: 'name' },
      },
      { name: 'colour', type: 'ordinal', domain: [...ORDER], range: ORDER.map((status) => COLOURS[status]) },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: unit, tickMinStep: 1 },
      {
        orient: 'left',
        scale: 'y',
        ticks: false,
        encode: { labels: { update: { text: { scale: 'name', field: 'value' } } } },
      },
    ],
    legends: [{ fill: 'colour', symbolType: 'square' }],
    marks: [
      {
        type: 'rect',
        from: { data: 'boxes' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'from' },
            x2: { scale: 'x', field: 'to' },
            y: { scale: 'y', field: 'row', offset: { signal: "bandwidth('y') * datum.top" } },
            height: { signal: "bandwidth('y') * datum.share" },
            fill: { scale: 'colour', field: 'status' },
          },
        },
      },
    ],
  } as Parameters<typeof drawChart>[1]);
}

/** The parts of each box that have a status, top and share as fractions of its height. */
function boxesOf({ statuses }: PlateRow, perBox: number) {
  const boxes: { from: number; to: number; top: number; share: number; status: PlateStatus }[] = [];
  for (let from = 0; from < statuses.length; from += perBox) {
    const inside = statuses.slice(from, from + perBox);
    // A gap between boxes as long as there is one for every plate and room to see it.
    const to = from + inside.length - (perBox === 1 && statuses.length <= MOST_BOXES / 2 ? 0.08 : 0);
    let top = 1;
    for (const status of ORDER) {
      const share = inside.filter((own) => own === status).length / inside.length;
      top -= share;
      if (share > 0) boxes.push({ from, to, top: Math.max(0, top), share, status });
    }
  }
  return boxes;
}

function shares(rows: readonly PlateRow[]): string {
  const all = rows.flatMap(({ statuses }) => statuses);
  return ORDER.map((status) => `${all.filter((own) => own === status).length} ${status}`).join(', ');
}
