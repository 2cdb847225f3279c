import { sparkline, table } from './picture.js';
import { formatBytes, formatPercent } from './quantities.js';
import { renderRun, type ShownRun } from './run-report.js';

/** What a compressed result looks like to people; every field is also in its JSON. */
export interface ShownQuality {
  readonly format: string;
  readonly bytes: { readonly before: number; readonly after: number };
  readonly bitsPerWeight: { readonly changed: number; readonly all: number };
  readonly budget?: {
    readonly bytes: number;
    readonly budgetBytes: number;
    readonly weights: number;
    readonly published?: { readonly bytes: number; readonly budgetBytes: number };
    readonly reason?: string;
  };
  readonly figures: readonly {
    readonly name: string;
    readonly before?: number;
    readonly after: number;
    readonly low?: number;
    readonly high?: number;
  }[];
  readonly blocks?: { readonly errors: readonly number[]; readonly passages: number };
  readonly changed: readonly ShownMatrix[];
  readonly kept: readonly ShownMatrix[];
  readonly fallbacks: readonly ShownMatrix[];
}

interface ShownMatrix {
  readonly weight: string;
  readonly form: string;
  readonly bits: number;
  readonly reason?: string;
  readonly error?: number;
}

/** A finished run that may have changed how matrices are stored. */
export interface ShownCompressed extends ShownRun {
  readonly quality?: {
    readonly report: ShownQuality;
    readonly files: { readonly markdown: string; readonly html: string };
  };
}

/** A run as one that ends in other forms looks to people; one that has pruned besides, with its waves and sparsities. */
export function renderCompressed(run: ShownCompressed): string {
  const { quality, sparsity } = run;
  if (quality === undefined) return renderRun(run);
  const { report, files } = quality;
  const pages = [`quality     ${files.markdown}`, `            ${files.html}`];
  if (sparsity > 0) return [renderRun(run), ...pages, '', renderQuality(report)].join('\n');
  return [
    renderQuality(report),
    '',
    `model       ${run.out}`,
    `manifest    ${run.manifest}`,
    `diff        ${run.diff.markdown}`,
    `            ${run.diff.json}`,
    ...pages,
  ].join('\n');
}

/** Lines of a list before the rest is only counted; the report's page has all. */
const SHOWN = 5;

/** Figures that are parts of a whole. */
const PARTS = new Set(['accuracy', 'accuracyLoss', 'agreement', 'flips']);

/** Sizes, what the model is like now, and what was not done as asked. */
export function renderQuality(quality: ShownQuality): string {
  const { bytes, bitsPerWeight, budget, figures, changed, blocks } = quality;
  const ratio = formatPercent(bytes.after / bytes.before);
  return [
    table(figures.map(figureRow), ['', 'before', 'after', '95 % interval']),
    '',
    `size        ${formatBytes(bytes.before)} → ${formatBytes(bytes.after)} (${ratio}) of tensors, as ${quality.format}`,
    `bits        ${bitsPerWeight.changed.toFixed(2)} a weight in ${changed.length} matrices, ${bitsPerWeight.all.toFixed(2)} over all`,
    ...(budget === undefined ? [] : budgetLines(budget, quality.format)),
    `stored as   ${formsText(changed)}`,
    ...(blocks === undefined ? [] : [blocksText(blocks.errors)]),
    ...reasons('fallback', quality.fallbacks),
    ...reasons('kept', quality.kept),
  ].join('\n');
}

/** What the budget allowed and what of it no form could use, in the terms in which it was given. */
function budgetLines(
  { bytes, budgetBytes, weights, published, reason }: NonNullable<ShownQuality['budget']>,
  format: string,
) {
  const counted = format === 'gguf' ? 'the file' : 'all tensors';
  const bits = (size: number) => ((8 * size) / weights).toFixed(3);
  const [spent, allowed, text] =
    published === undefined
      ? [bytes, budgetBytes, `${bits(bytes)} of ${bits(budgetBytes)} bits a weight`]
      : [
          published.bytes,
          published.budgetBytes,
          `${formatBytes(published.bytes)} of ${formatBytes(published.budgetBytes)} of ${counted}`,
        ];
  return [
    `budget      ${text}, ${formatPercent(1 - spent / allowed, 2)} unused`,
    ...(reason === undefined ? [] : [`            one form for all: ${reason}`]),
  ];
}

function figureRow({ name, before, after, low, high }: ShownQuality['figures'][number]): string[] {
  const show = (value: number) => (PARTS.has(name) ? formatPercent(value, 2) : value.toPrecision(5));
  const interval = low === undefined || high === undefined ? '' : `${show(low)} to ${show(high)}`;
  return [name, before === undefined ? '' : show(before), show(after), interval];
}

function formsText(matrices: readonly ShownMatrix[]): string {
  const counts = new Map<string, number>();
  for (const { form } of matrices) counts.set(form, (counts.get(form) ?? 0) + 1);
  return [...counts].map(([form, count]) => `${form} (${count})`).join('; ');
}

function blocksText(errors: readonly number[]): string {
  const [least, most] = [Math.min(...errors), Math.max(...errors)].map((error) => formatPercent(error, 2));
  return `blocks      ${sparkline(errors, { min: 0 })}  output error ${least} to ${most}`;
}

function reasons(title: string, matrices: readonly ShownMatrix[]): string[] {
  const lines = matrices
    .slice(0, SHOWN)
    .map(({ weight, form, reason }) => `${weight}: ${form}${reason === undefined ? '' : `, ${reason}`}`);
  const more = matrices.length > SHOWN ? [`and ${matrices.length - SHOWN} more`] : [];
  return [...lines, ...more].map((line, index) => `${(index === 0 ? title : '').padEnd(12)}${line}`);
}
