import { type FileKind, writeFileDurably } from '../checkpoint/index.js';
import { type Chart, type Picture, page, sheet } from '../pictures/index.js';
import { KINDS_OF_BLOCKS, type PlateKind } from '../plates/index.js';
import type { PlateList } from './list.js';
import { type PlateRow, platesChart } from './plates-chart.js';
import type { Survey } from './survey.js';

export const PICTURE_FILE: FileKind<'svg' | 'html'> = { name: 'picture', flag: '--picture', formats: ['svg', 'html'] };

const TITLES: Readonly<Record<PlateKind, readonly [title: string, unit: string]>> = {
  'ffn-channel': ['Channels of the feed-forward networks', 'channel'],
  'kv-group': ['KV groups with their query heads', 'group'],
  expert: ['Experts', 'expert'],
  attention: ['Attention sub-blocks', 'block'],
  ffn: ['Feed-forward sub-blocks', 'block'],
  block: ['Blocks', 'block'],
  hidden: ['Hidden dimensions', 'dimension'],
  vocabulary: ['Rows of the vocabulary', 'token'],
};

/** Draws a survey's model, a chart for each kind of plate, into one .svg or .html file that needs nothing else. */
export async function drawPlates(file: string, survey: Survey, list: PlateList): Promise<void> {
  const charts: Chart[] = [];
  for (const kind of survey.kinds) {
    const [title, unit] = TITLES[kind];
    charts.push(await platesChart({ title, unit, rows: rowsOf(kind, list) }));
  }
  const picture: Picture = {
    title: `Growth plates of ${survey.name}`,
    text: 'Each box is a plate, or several: orange is shed, green is protected, blue is kept and may be shed.',
    sections: [{ heading: 'Shed, protected and kept', charts }],
  };
  const text = file.toLowerCase().endsWith('.svg') ? sheet(picture) : page(picture);
  await writeFileDurably(file, text);
}

/** One row a block; sub-blocks and blocks, of which each block has one, make a row together. */
function rowsOf(kind: PlateKind, list: PlateList): PlateRow[] {
  const ranges = list.statuses(kind);
  if (KINDS_OF_BLOCKS.includes(kind))
    return [{ name: kind, statuses: ranges.flatMap(({ statuses }) => [...statuses]) }];
  return ranges.map(({ range, statuses }) => ({
    name: range.block === undefined ? kind : `block ${range.block}`,
    statuses,
  }));
}
