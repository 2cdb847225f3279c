import type { Chart } from './chart.js';
import { escapeMarkup } from './legible.js';
import type { Picture, Section } from './page.js';

const MARGIN = 24;
const LINE = 20;
const MIN_WIDTH = 640;

/** System colours follow the reader's dark or light scheme; a program that does not know them draws black on nothing. */
const STYLE = ':root{color-scheme:light dark;background:Canvas;color:CanvasText}text{font-family:sans-serif}';

/** A piece of the sheet: what to draw from height `y` on, and how much of it that takes. */
interface Piece {
  readonly height: number;
  draw(y: number): string;
}

/**
 * The picture as one SVG document: titles and charts below each other, without the sections' texts and tables, which a drawing
 * does not wrap (they are in its `<desc>`). All text is escaped here. The same picture gives the same bytes.
 */
export function sheet({ title, text, sections }: Picture): string {
  const pieces = [line(title, 20), ...sections.flatMap(sectionPieces)];
  const charts = sections.flatMap((section) => section.charts);
  const width = Math.max(MIN_WIDTH, ...charts.map((chart) => chart.width)) + 2 * MARGIN;
  let height = MARGIN;
  const drawn: string[] = [];
  for (const piece of pieces) {
    drawn.push(piece.draw(height));
    height += piece.height;
  }
  height += MARGIN;
  const description = [text, ...sections.map((section) => section.text)].filter((part) => part !== undefined).join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>${escapeMarkup(title)}</title>
<desc>${escapeMarkup(description)}</desc>
<style>${STYLE}</style>
${drawn.join('\n')}
</svg>
`;
}

function sectionPieces({ heading, charts }: Section): Piece[] {
  return [line(heading, 15), ...charts.flatMap((chart) => [line(chart.title, 12), chartPiece(chart)])];
}

function line(text: string, fontSize: number): Piece {
  return {
    height: fontSize + LINE,
    draw: (y) =>
      `<text x="${MARGIN}" y="${y + fontSize}" font-size="${fontSize}" fill="currentColor">${escapeMarkup(text)}</text>`,
  };
}

function chartPiece(chart: Chart): Piece {
  return {
    height: chart.height,
    // A nested drawing keeps its own coordinates.
    draw: (y) => chart.svg.replace('<svg ', () => `<svg x="${MARGIN}" y="${y}" `),
  };
}
