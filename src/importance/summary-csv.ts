import type { GroupSummary, MatrixSummary } from './aggregate.js';
import { QUANTILES } from './distribution.js';

/** A matrix's summary in a table of several metrics. */
export interface SummaryRow extends MatrixSummary {
  readonly metric: string;
  /** How many of its weights score above the threshold, where there is one. */
  readonly kept?: number;
}

/**
 * One CSV table (RFC 4180, header line, `\n`) of all matrices: a line per metric and matrix, then one per row, column and head
 * of it. min, zeros, quantiles and kept are given for whole matrices only, the standard score for their parts only.
 */
export function* summariesToCsv(summaries: Iterable<SummaryRow>): Generator<string> {
  const quantileNames = QUANTILES.map((fraction) => `q${String(Math.round(fraction * 100)).padStart(2, '0')}`);
  yield `${['metric', 'name', 'level', 'index', 'mean', 'max', 'standard', 'min', 'zeros', ...quantileNames, 'kept'].join(',')}\n`;
  for (const summary of summaries) {
    const { all } = summary;
    const start = `${quote(summary.metric)},${quote(summary.name)}`;
    const quantiles = all.quantiles.map((quantile) => quantile.value);
    const figures = [all.mean, all.max, '', all.min, all.zeros, ...quantiles, summary.kept ?? ''];
    yield `${[start, 'matrix', '', ...figures].join(',')}\n`;
    yield* groupLines(`${start},row`, summary.byRow);
    yield* groupLines(`${start},column`, summary.byColumn);
    if (summary.byHead !== undefined) yield* groupLines(`${start},head`, summary.byHead);
  }
}

function* groupLines(start: string, { mean, max, standard }: GroupSummary): Generator<string> {
  const empty = ','.repeat(3 + QUANTILES.length);
  for (const [index, value] of mean.entries()) {
    yield `${start},${index},${value},${max[index]},${standard[index]}${empty}\n`;
  }
}

/** A tensor name comes from a file, which may put anything in it. */
function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
