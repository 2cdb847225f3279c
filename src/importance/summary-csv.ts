import type { GroupSummary, MatrixSummary } from './aggregate.js';
import { QUANTILES } from './distribution.js';

/**
 * One CSV table (RFC 4180, header line, `\n`) of all matrices: a line per matrix, then a line per row, column and head of it.
 * min, zeros and quantiles are given for whole matrices only.
 */
export function* summariesToCsv(summaries: Iterable<MatrixSummary>): Generator<string> {
  const quantileNames = QUANTILES.map((fraction) => `q${String(Math.round(fraction * 100)).padStart(2, '0')}`);
  yield `${['name', 'level', 'index', 'mean', 'max', 'min', 'zeros', ...quantileNames].join(',')}\n`;
  for (const summary of summaries) {
    const { all } = summary;
    const figures = [all.mean, all.max, all.min, all.zeros, ...all.quantiles.map((quantile) => quantile.value)];
    yield `${[quote(summary.name), 'matrix', '', ...figures].join(',')}\n`;
    yield* groupLines(summary.name, 'row', summary.byRow);
    yield* groupLines(summary.name, 'column', summary.byColumn);
    if (summary.byHead !== undefined) yield* groupLines(summary.name, 'head', summary.byHead);
  }
}

function* groupLines(name: string, level: string, groups: GroupSummary): Generator<string> {
  const empty = ','.repeat(2 + QUANTILES.length);
  for (const [index, mean] of groups.mean.entries()) {
    yield `${quote(name)},${level},${index},${mean},${groups.max[index]}${empty}\n`;
  }
}

/** A tensor name comes from a file, which may put anything in it. */
function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
