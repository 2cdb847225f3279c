import type { QualityReport, ReportedBudget, ReportedFigure, ReportedMatrix } from './report.js';

/** A table as both renderings have it. */
export interface ReportTable {
  readonly caption: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Figures that are parts of a whole, shown in percent. */
const PARTS = new Set(['accuracy', 'accuracyLoss', 'agreement', 'flips']);

const NAMES: Readonly<Record<string, string>> = {
  perplexityRatio: 'perplexity, after / before',
  accuracyLoss: 'accuracy lost, of what there was',
  kl: 'KL divergence, nats a token',
  agreement: 'same top token',
  fullCachePerplexity: 'perplexity with a cache of full precision',
  flips: 'predictions that flipped',
};

/** The report as tables, in the order in which they are read; those that would be empty are left out. */
export function tablesOf(report: QualityReport): ReportTable[] {
  const tables: ReportTable[] = [
    { caption: 'Size', header: ['', 'before', 'after'], rows: sizeRows(report) },
    { caption: 'Quality', header: ['', 'before', 'after', '95 % interval'], rows: report.figures.map(figureRow) },
    { caption: 'Fallbacks', header: ['tensor', 'stored as', 'reason'], rows: report.fallbacks.map(reasonRow) },
    { caption: 'Left as it was', header: ['tensor', 'stored as', 'reason'], rows: report.kept.map(reasonRow) },
    { caption: 'Matrices', ...matrixTable(report.changed) },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

function sizeRows({ bytes, bitsPerWeight, changed, budget, format }: QualityReport): string[][] {
  const ratio = (100 * bytes.after) / bytes.before;
  return [
    ['tensors, bytes', count(bytes.before), `${count(bytes.after)} (${ratio.toFixed(1)} %)`],
    [`bits a weight, ${changed.length} changed matrices`, '', bitsPerWeight.changed.toFixed(3)],
    ['bits a weight, all matrices', '', bitsPerWeight.all.toFixed(3)],
    ...(budget === undefined ? [] : budgetRows(budget, format)),
  ];
}

/** The budget in the terms in which it was given, and what of it no form could use. */
function budgetRows({ bytes, budgetBytes, weights, published, reason }: ReportedBudget, format: string): string[][] {
  const bits = (size: number) => ((8 * size) / weights).toFixed(3);
  const row =
    published === undefined
      ? ['bits a weight: allowed, spent', bits(budgetBytes), `${bits(bytes)} (${unused(bytes, budgetBytes)})`]
      : [
          `bytes of ${format === 'gguf' ? 'the file' : 'all tensors'}: allowed, spent`,
          count(published.budgetBytes),
          `${count(published.bytes)} (${unused(published.bytes, published.budgetBytes)})`,
        ];
  return [row, ...(reason === undefined ? [] : [[`one form for all: ${reason}`, '', '']])];
}

/** In percent: "1.60 % unused". */
function unused(spent: number, allowed: number): string {
  return `${(100 * (1 - spent / allowed)).toFixed(2)} % unused`;
}

function figureRow({ name, before, after, low, high }: ReportedFigure): string[] {
  const show = (value: number) => (PARTS.has(name) ? `${(100 * value).toFixed(2)} %` : value.toPrecision(5));
  const interval = low === undefined || high === undefined ? '' : `${show(low)} to ${show(high)}`;
  return [NAMES[name] ?? name, before === undefined ? '' : show(before), show(after), interval];
}

function reasonRow({ weight, form, reason = '' }: ReportedMatrix): string[] {
  return [weight, form, reason];
}

/** The matrices with the largest errors first: where to look when the model is worse than hoped for. */
function matrixTable(matrices: readonly ReportedMatrix[]): Omit<ReportTable, 'caption'> {
  const hasLoss = matrices.some(({ loss }) => loss !== undefined);
  const order = [...matrices].sort((left, right) => (right.error ?? 0) - (left.error ?? 0));
  return {
    header: ['tensor', 'shape', 'stored as', 'by', 'bits', 'relative error', ...(hasLoss ? ['output loss'] : [])],
    rows: order.map(({ weight, rows, columns, form, algorithm = '', bits, error, loss }) => [
      weight,
      `${rows} × ${columns}`,
      form,
      algorithm,
      bits.toFixed(3),
      error === undefined ? '' : `${(100 * error).toPrecision(4)} %`,
      ...(hasLoss ? [loss === undefined ? '' : loss.toPrecision(4)] : []),
    ]),
  };
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
