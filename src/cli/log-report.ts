import { controlText, type ShownControl } from './control-text.js';
import { table } from './picture.js';
import { formatPercent } from './quantities.js';
import { renderWaves, type ShownWave } from './run-report.js';
import { stateText } from './state-text.js';

type State = Parameters<typeof stateText>[0];

interface ShownChange {
  readonly name: string;
  readonly before: number;
  readonly after: number;
}

type ShownEntry =
  | (ShownWave & { readonly kind: 'wave'; readonly tensors: readonly ShownChange[] })
  | {
      readonly kind: 'rollback';
      readonly at: string;
      readonly to: number;
      readonly tag?: string;
      readonly globs?: readonly string[];
      readonly state: State;
      readonly tensors: readonly ShownChange[];
    }
  | (ShownControl & { readonly kind: 'control'; readonly at: string })
  | { readonly kind: 'tag'; readonly at: string; readonly name: string; readonly state: State | null };

/** What a log looks like to people; every field is also in its JSON. */
export interface ShownLog {
  readonly out: string;
  readonly state: string;
  readonly status: string;
  readonly history: {
    readonly begin: { readonly base: { readonly path: string } } | undefined;
    readonly baseline: { readonly figures: Readonly<Record<string, number>> } | undefined;
    readonly finished: { readonly reason: string } | undefined;
    readonly state: State;
    readonly tags: readonly { readonly name: string; readonly state: State }[];
  };
  readonly entries: readonly ShownEntry[];
}

/** Where the output stands, its waves, and what was done since; `byTensor` shows what each wave did to the tensors asked for. */
export function renderLog(log: ShownLog, { byTensor = false }: { readonly byTensor?: boolean } = {}): string {
  const { out, state, status, history, entries } = log;
  const tags = history.tags.map((tag) => `${tag.name} (${stateText(tag.state)})`);
  const waves = entries.filter((entry) => entry.kind === 'wave');
  const events = entries.flatMap(eventText);
  return [
    `output    ${out}`,
    `status    ${status}${history.finished === undefined ? '' : `: ${history.finished.reason}`}`,
    `at        ${stateText(history.state)}`,
    ...(tags.length > 0 ? [`tags      ${tags.join(', ')}`] : []),
    `base      ${history.begin?.base.path ?? 'unknown'}`,
    `state     ${state}`,
    ...(entries.length === 0 ? ['', 'nothing to show'] : []),
    ...(waves.length > 0 ? ['', byTensor ? renderChanges(waves) : renderAll(waves, history)] : []),
    ...(events.length > 0 ? ['', ...events] : []),
  ].join('\n');
}

function renderAll(waves: readonly ShownWave[], { baseline, state }: ShownLog['history']): string {
  return renderWaves(waves, baseline?.figures ?? {}, { at: state });
}

function renderChanges(waves: readonly Extract<ShownEntry, { kind: 'wave' }>[]): string {
  const rows = waves.flatMap(({ wave, verdict, tensors }) =>
    tensors.map(({ name, before, after }) => [
      String(wave),
      name,
      `${formatPercent(before)} → ${formatPercent(after)}`,
      verdict === 'committed' ? 'kept' : 'rolled back',
    ]),
  );
  return table(rows, ['wave', 'tensor', 'sparsity', '']);
}

function eventText(entry: ShownEntry): string[] {
  if (entry.kind === 'wave') return [];
  const when = entry.at.slice(0, 16).replace('T', ' ');
  if (entry.kind === 'control') return [`${when}  ${controlText(entry)}`];
  if (entry.kind === 'tag') {
    return [`${when}  tag ${entry.name} ${entry.state === null ? 'removed' : `= ${stateText(entry.state)}`}`];
  }
  const to = entry.tag ?? (entry.to === 0 ? 'dense' : `wave ${entry.to}`);
  const what = entry.globs === undefined ? '' : ` of ${entry.globs.join(' ')}`;
  return [
    `${when}  rollback${what} to ${to}: ${entry.tensors.length} ${entry.tensors.length === 1 ? 'tensor' : 'tensors'} moved, now ${stateText(entry.state)}`,
  ];
}
