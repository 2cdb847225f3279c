import { formatPercent } from './quantities.js';

/** What is shown of a run that may be asked for something. */
export interface ShownRunStatus {
  readonly out: string;
  readonly action: 'status' | 'pause' | 'resume' | 'skip' | 'stop';
  readonly request: 'taken' | 'waiting' | null;
  readonly run: {
    readonly state: string;
    readonly wave?: number;
    readonly target?: number;
    readonly since: string;
    readonly process: number;
    readonly host: string;
  } | null;
  readonly journal: { readonly status: string; readonly kept: number; readonly sparsity: number } | null;
}

const REQUESTS: Readonly<Record<NonNullable<ShownRunStatus['request']>, string>> = {
  taken: 'taken by the run',
  waiting: 'not taken yet; the run will find it when its computation lets it look',
};

/** What a run is at, and what became of a request. */
export function renderControl({ out, action, request, run, journal }: ShownRunStatus): string {
  const kept =
    journal === null
      ? 'nothing yet'
      : `${journal.kept} ${journal.kept === 1 ? 'wave' : 'waves'}, sparsity ${formatPercent(journal.sparsity)}`;
  return [
    `output    ${out}`,
    `run       ${run === null ? `none under way; ${journal?.status ?? 'no journal'}` : runText(run)}`,
    `kept      ${kept}`,
    ...(request === null ? [] : [`request   ${action}: ${REQUESTS[request]}`]),
  ].join('\n');
}

function runText({ state, wave, target, since, process, host }: NonNullable<ShownRunStatus['run']>): string {
  const to = target === undefined ? '' : ` to sparsity ${formatPercent(target)}`;
  const at = wave === undefined ? '' : `, wave ${wave}${to}`;
  return `${state}${at}, since ${since.slice(0, 19).replace('T', ' ')} (process ${process} on ${host})`;
}
