/** What a run is at, as it says itself in its lock: for people and their scripts, never read back by a run. */
export interface RunStatus {
  /** `pausing` and `stopping`: it was asked to, and comes to it after the block or the wave that it is at. */
  readonly state: 'preparing' | 'running' | 'pausing' | 'paused' | 'stopping' | 'publishing';
  /** The wave that is being made, the recipe step that it is of, and the sparsity that it goes for. */
  readonly wave?: number;
  readonly step?: number;
  readonly target?: number;
  /** Since when it is at that, ISO 8601. */
  readonly since: string;
}

const STATES: readonly unknown[] = ['preparing', 'running', 'pausing', 'paused', 'stopping', 'publishing'];

/** A lock's status as it was written; undefined for none, and for anything else. */
export function runStatusIn(holder: object): RunStatus | undefined {
  const { status } = holder as { readonly status?: Partial<RunStatus> | null };
  if (typeof status !== 'object' || status === null || !STATES.includes(status.state)) return undefined;
  const numbers = [status.wave, status.step, status.target];
  const isSound = typeof status.since === 'string' && numbers.every((each) => each === undefined || isNumber(each));
  return isSound ? (status as RunStatus) : undefined;
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}
