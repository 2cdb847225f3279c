import { writeFileDurably } from '../checkpoint/index.js';
import { parseGate } from '../evaluation/index.js';
import { type FrontKind, frontChart, type Picture, page, sheet } from '../pictures/index.js';
import type { SearchResult, Tried } from './search-result.js';

/** Writes what a search found as one file that needs nothing else, .svg or .html by its name. An earlier one is replaced whole. */
export async function writeSearchPicture(result: SearchResult, file: string): Promise<void> {
  const picture = await searchPicture(result);
  await writeFileDurably(file, file.toLowerCase().endsWith('.svg') ? sheet(picture) : page(picture));
}

/** The front as a chart, and every candidate in a table. Pure but for the drawing; the same result gives the same picture. */
export async function searchPicture(result: SearchResult): Promise<Picture> {
  const { tried, passages, gate, best, dense } = result;
  const found =
    best === null
      ? 'None passed the gate.'
      : `The smallest inside the gate: ${best.name}, ${percent(best.size)} of the dense size.`;
  const chart = await frontChart({
    title: 'Size and loss',
    description: `${tried.length} candidates. ${found}`,
    points: [
      ...tried.map((each) => ({
        name: each.name,
        size: each.size,
        loss: each.accuracyLoss,
        kind: kindOf(each, passages),
      })),
      { name: 'dense', size: 1, loss: 0, kind: 'dense' },
    ],
    limit: gate === 'off' ? undefined : parseGate(gate).terms.find(({ metric }) => metric === 'accuracy')?.limit,
  });
  const text = `Gate: ${gate}, on ${passages} passages; the dense model: accuracy ${percent(dense.accuracy)}, perplexity ${dense.perplexity.toFixed(3)}. ${found}`;
  const table = { caption: 'Candidates, the smallest first', header: [...HEADER], rows: tried.map(rowOf) };
  return {
    title: 'Search over a recipe',
    text,
    sections: [{ heading: 'Pareto front', charts: [chart], tables: [table] }],
  };
}

export const HEADER = [
  'candidate',
  'size',
  'of dense',
  'accuracy loss',
  'perplexity',
  'passages',
  'gate',
  'front',
] as const;

/** A candidate as a row under `HEADER`. */
export function rowOf({ name, bytes, size, accuracyLoss, perplexityRatio, passages, pass, front }: Tried): string[] {
  return [
    name,
    String(bytes),
    percent(size),
    percent(accuracyLoss, 2),
    `${perplexityRatio.toFixed(4)}x`,
    String(passages),
    pass ? 'inside' : 'outside',
    front ? 'yes' : '',
  ];
}

function kindOf({ front, passages }: Tried, all: number): FrontKind {
  if (front) return 'on the front';
  return passages < all ? 'dropped early' : 'beaten';
}

function percent(fraction: number, digits = 1): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}
