import { createHash } from 'node:crypto';
import type { Chart } from './chart.js';
import { escapeMarkup } from './legible.js';
import { TURN_SCRIPT } from './turn-script.js';

/** Charts that belong together, under one heading. */
export interface Section {
  readonly heading: string;
  /** What the charts say and what they leave out; plain text. */
  readonly text?: string;
  readonly charts: readonly Chart[];
  readonly tables?: readonly PageTable[];
}

/** Figures beside the charts; in a page alone, a sheet has no room for them. */
export interface PageTable {
  readonly caption: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What a picture file holds. */
export interface Picture {
  readonly title: string;
  /** One paragraph under the title: of which model, by which command. Plain text. */
  readonly text?: string;
  readonly sections: readonly Section[];
}

/** System colours (CSS Color 4, section 6.2): the reader's own dark or light scheme, without a line of script. */
const STYLE = `
:root { color-scheme: light dark; }
body { background: Canvas; color: CanvasText; font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
figure { margin: 1rem 0; overflow-x: auto; } figcaption { font-weight: 600; }
svg { display: block; max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; } caption { text-align: left; font-weight: 600; }
th, td { padding: 0.15rem 0.75rem 0.15rem 0; text-align: right; } th:first-child, td:first-child { text-align: left; }
`;

/** No script, no request: what a name might smuggle in finds nothing to run or to call. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** The same for a page with a drawing that turns: our own script may run, told by its digest, and no other. */
const TURN_POLICY = `${POLICY}; script-src 'sha256-${createHash('sha256').update(TURN_SCRIPT).digest('base64')}'`;

/**
 * The picture as one HTML document that needs nothing else and asks for nothing. All text is escaped here; charts come as
 * `drawChart` made them. The same picture gives the same bytes.
 */
export function page({ title, text, sections }: Picture): string {
  const turns = sections.some(({ charts }) => charts.some(({ turning }) => turning !== undefined));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeMarkup(turns ? TURN_POLICY : POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeMarkup(title)}</h1>
${paragraph(text)}${sections.map(sectionHtml).join('')}${turns ? `<script>${TURN_SCRIPT}</script>\n` : ''}</body>
</html>
`;
}

function sectionHtml({ heading, text, charts, tables = [] }: Section): string {
  const parts = [...charts.map(figureHtml), ...tables.map(tableHtml)];
  return `<section>\n<h2>${escapeMarkup(heading)}</h2>\n${paragraph(text)}${parts.join('')}</section>\n`;
}

function figureHtml({ title, svg, turning }: Chart): string {
  const data = turning === undefined ? '' : ` data-turning="${escapeMarkup(JSON.stringify(turning))}"`;
  return `<figure${data}>\n<figcaption>${escapeMarkup(title)}</figcaption>\n${svg}\n</figure>\n`;
}

function tableHtml({ caption, header, rows }: PageTable): string {
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeMarkup(cell)}</${tag}>`).join('')}</tr>\n`;
  const body = rows.map((cells) => row(cells, 'td')).join('');
  return `<table>\n<caption>${escapeMarkup(caption)}</caption>\n<thead>${row(header, 'th')}</thead>\n<tbody>${body}</tbody>\n</table>\n`;
}

function paragraph(text: string | undefined): string {
  return text === undefined ? '' : `<p>${escapeMarkup(text)}</p>\n`;
}
