import { table } from './picture.js';
import { renderPlan, type ShownPlan } from './plan-report.js';
import { formatCount, formatPercent } from './quantities.js';

/** What a plan says of factors, besides what it says of any run. */
export interface FactorizePlan {
  readonly matrices: readonly ShownMatrix[];
}

interface ShownMatrix {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly rank?: number;
  readonly reason?: string;
  readonly parameters: { readonly before: number; readonly after: number };
  readonly loss?: number;
}

/** The plan of the run, then each matrix: rank, numbers before and after, predicted loss, or why it stays. */
export function renderFactorizePlan(plan: ShownPlan & FactorizePlan): string {
  const { matrices } = plan;
  const header = ['matrix', 'shape', 'rank', 'numbers', 'of the dense', 'loss'];
  const rows = matrices.map(({ name, rows, columns, rank, parameters: { before, after }, loss }) => [
    name,
    `${rows} × ${columns}`,
    rank === undefined ? '–' : String(rank),
    formatCount(after),
    formatPercent(after / before),
    loss === undefined ? '–' : formatPercent(loss, 2),
  ]);
  const sum = (which: 'before' | 'after') => matrices.reduce((total, { parameters }) => total + parameters[which], 0);
  const [before, after] = [sum('before'), sum('after')];
  return [
    renderPlan(plan),
    '',
    table(rows, header),
    '',
    `together    ${formatCount(after)} of ${formatCount(before)} numbers, ${formatPercent(after / before)}`,
    ...reasons(matrices),
  ].join('\n');
}

/** Why matrices stay as they are, each reason once. */
function reasons(matrices: readonly ShownMatrix[]): string[] {
  const counts = new Map<string, string[]>();
  for (const { name, reason } of matrices) {
    if (reason !== undefined) counts.set(reason, [...(counts.get(reason) ?? []), name]);
  }
  return [...counts].map(
    ([reason, names]) => `as it is    ${names.length === 1 ? names[0] : `${names.length} matrices`}: ${reason}`,
  );
}
