import { formatBytes, formatPercent } from './quantities.js';
import { stateText } from './state-text.js';

type Figures = Readonly<Record<string, number>> | null;
type State = Parameters<typeof stateText>[0];

/** What a rollback would do, as its JSON has it. */
export interface ShownRollback {
  readonly out: string;
  readonly tag?: string;
  readonly tensors?: { readonly globs: readonly string[]; readonly matched: number };
  readonly from: State;
  readonly target: State;
  readonly goes: readonly number[];
  readonly returns: readonly number[];
  readonly changes: readonly string[];
  readonly sparsity: { readonly now: number; readonly after: number };
  readonly weightBytes: { readonly now: number | null; readonly after: number };
  readonly figures: { readonly now: Figures; readonly after: Figures };
  readonly measured?: { readonly pass: boolean; readonly reason: string };
}

/** The impact of a rollback: state, waves, tensors, sparsity, size and figures, each now and after it. */
export function renderRollback(plan: ShownRollback): string {
  const { out, tag, from, target, changes, sparsity, weightBytes } = plan;
  const name = tag === undefined ? '' : ` (${tag})`;
  return [
    `output      ${out}`,
    `state       ${stateText(from)} → ${stateText(target)}${name}`,
    ...wavesText(plan),
    `tensors     ${changes.length} change${matchedText(plan)}`,
    `sparsity    ${formatPercent(sparsity.now)} → ${formatPercent(sparsity.after)}`,
    `weights     ${weightBytes.now === null ? 'nothing readable' : formatBytes(weightBytes.now)} → ${formatBytes(weightBytes.after)}`,
    ...(['accuracy', 'perplexity'] as const).flatMap((figure) => figureText(figure, plan)),
    ...(plan.measured
      ? [`gate        ${plan.measured.pass ? 'passes' : 'does not pass'}: ${plan.measured.reason}`]
      : []),
  ].join('\n');
}

function wavesText({ goes, returns }: ShownRollback): string[] {
  return [
    ...(goes.length > 0 ? [`goes        wave ${goes.join(', ')}`] : []),
    ...(returns.length > 0 ? [`comes back  wave ${returns.join(', ')}`] : []),
  ];
}

function matchedText({ tensors }: ShownRollback): string {
  return tensors === undefined ? '' : `, of ${tensors.matched} that match ${tensors.globs.join(' ')}`;
}

function figureText(name: 'accuracy' | 'perplexity', { figures }: ShownRollback): string[] {
  const [now, after] = [figures.now?.[name], figures.after?.[name]];
  if (now === undefined && after === undefined) return [];
  const shown = (value: number | undefined) => {
    if (value === undefined) return 'not measured';
    return name === 'accuracy' ? formatPercent(value, 2) : value.toFixed(2);
  };
  const change = now === undefined || after === undefined ? '' : ` (${signed((after / now - 1) * 100)} %)`;
  return [`${name.padEnd(12)}${shown(now)} → ${shown(after)}${change}`];
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(2)}`;
}
