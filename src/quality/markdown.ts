import type { QualityReport } from './report.js';
import { type ReportTable, tablesOf } from './tables.js';

/** The report as a Markdown page. Names from the files are escaped. The same report gives the same text. */
export function qualityMarkdown(report: QualityReport): string {
  const { names, format, blocks } = report;
  const title = `# ${escaped(names.before)} → ${escaped(names.after)} (${escaped(format)})`;
  const errors =
    blocks === undefined
      ? []
      : [
          `Relative error of each block's output, on ${blocks.passages} windows: ${blocks.errors.map(percent).join(', ')}.`,
        ];
  const [size, quality, ...rest] = tablesOf(report).map(tableText);
  return `${[title, size, quality, ...errors, ...rest].filter((part) => part !== undefined).join('\n\n')}\n`;
}

function tableText({ caption, header, rows }: ReportTable): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  return [`## ${caption}`, '', line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

function percent(part: number): string {
  return `${(100 * part).toPrecision(3)} %`;
}

/** No markup, no HTML, no break of a table's line out of a name in a file. */
function escaped(text: string): string {
  return text.replace(/[\n\r]+/g, ' ').replace(/[\\`*_[\]<>|#]/g, (mark) => `\\${mark}`);
}
