import { writeFileDurably } from '../checkpoint/index.js';
import type { PlateGraph } from '../plates/index.js';
import type { PlateList } from './list.js';
import { type ListedPlate, sliceText } from './listing.js';

/** What the file says besides the plates. */
export type PlatesHeader = Readonly<Record<string, unknown>>;

/** Writes all plates of a list, JSON with a plate a line or CSV, to a file that appears whole or not at all. */
export async function writePlates(
  file: string,
  header: PlatesHeader,
  { list, graph }: { readonly list: PlateList; readonly graph: PlateGraph },
): Promise<void> {
  const isCsv = file.toLowerCase().endsWith('.csv');
  await writeFileDurably(file, isCsv ? csvLines(list, graph) : jsonLines(header, list, graph));
}

function* jsonLines(header: PlatesHeader, list: PlateList, graph: PlateGraph): Generator<string> {
  yield `{"plates":1,${JSON.stringify(header).slice(1, -1)},"list":[\n`;
  let next = 0;
  for (const plate of list.lines()) {
    next += 1;
    yield `${JSON.stringify({ ...plate, slices: slicesText(graph, plate) })}${next < list.length ? ',' : ''}\n`;
  }
  yield ']}\n';
}

const COLUMNS = [
  'id',
  'kind',
  'block',
  'index',
  'status',
  'parameters',
  'bytes',
  'flops',
  'score',
  'relative',
] as const;

function* csvLines(list: PlateList, graph: PlateGraph): Generator<string> {
  yield `${[...COLUMNS, 'level', 'residual', 'reasons', 'slices'].join(',')}\n`;
  for (const plate of list.lines()) {
    const { level, residual, protections } = plate;
    const reasons = protections.map(({ reason }) => reason).join(' ');
    const slices = quote(slicesText(graph, plate).join(' '));
    const figures = COLUMNS.map((column) => plate[column] ?? '');
    yield `${[...figures, level ?? '', residual ?? '', reasons, slices].join(',')}\n`;
  }
}

/** A plate's slices as text: what depends on it. */
export function slicesText(graph: PlateGraph, plate: Pick<ListedPlate, 'kind' | 'block' | 'index'>): string[] {
  return graph.slices(plate).map((slice) => sliceText(slice, graph.shapes.get(slice.tensor)!.length));
}

/** A tensor name comes from a file, which may put anything in it. */
function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
