import { table } from './picture.js';
import { formatPercent } from './quantities.js';
import { renderRun, type ShownRun } from './run-report.js';

/** A finished run of which some waves healed. */
export interface ShownHealing extends ShownRun {
  /** The model before the first wave, against the dense one. */
  readonly before?: Readonly<Record<string, number>>;
}

/** The dense model, the one that was healed, and what it is now; then the waves, and where the evidence lies. */
export function renderHealed(run: ShownHealing): string {
  const { baseline, before, result } = run;
  const row = (name: string, figures: Readonly<Record<string, number>>) => [
    name,
    shown(figures['perplexity'], (value) => value.toPrecision(5)),
    shown(figures['accuracy'], (value) => formatPercent(value, 2)),
    shown(figures['kl'], (value) => value.toPrecision(4)),
  ];
  const rows = [
    row('dense', baseline),
    ...(before === undefined ? [] : [row('before', before)]),
    row('healed', result),
  ];
  const regained = before && regainedOf(baseline['perplexity'], before['perplexity'], result['perplexity']);
  return [
    table(rows, ['', 'perplexity', 'accuracy', 'KL to dense']),
    ...(regained === undefined ? [] : [`regained    ${formatPercent(regained)} of the perplexity that was lost`]),
    '',
    renderRun(run),
  ].join('\n');
}

/** Part of what was lost that is back; undefined where nothing was lost, or not measured. */
function regainedOf(
  dense: number | undefined,
  before: number | undefined,
  now: number | undefined,
): number | undefined {
  if (dense === undefined || before === undefined || now === undefined || before <= dense) return undefined;
  return (before - now) / (before - dense);
}

function shown(value: number | undefined, text: (value: number) => string): string {
  return value === undefined ? '–' : text(value);
}
