import { setTimeout } from 'node:timers/promises';
import { BirdboneError, stopIfAborted } from '../errors.js';
import {
  type ControlAction,
  type ControlRequest,
  hasRequest,
  holderOf,
  leaveRequest,
  type RunStatus,
  runStatusIn,
  type StateFolder,
  stateFolder,
} from '../state/index.js';
import { readLog } from './log.js';
import type { OutputName } from './past.js';

/** What to ask of the run that makes an output. */
export interface ControlOptions extends OutputName {
  /** `status` asks for nothing. */
  readonly action: ControlAction | 'status';
  /** How long to wait for the run to take the request, seconds. */
  readonly waitSeconds?: number;
  /** Only look. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What a run is at. */
export interface ControlResult {
  readonly out: string;
  readonly state: string;
  readonly action: ControlOptions['action'];
  /** `taken`: the run has it; `waiting`: it has not looked yet; null where nothing was asked. */
  readonly request: 'taken' | 'waiting' | null;
  /** What the live run says of itself, null where there is none. */
  readonly run: (RunStatus & { readonly process: number; readonly host: string }) | null;
  /** What the journal says; null where there is none yet. */
  readonly journal: { readonly status: string; readonly kept: number; readonly sparsity: number } | null;
}

const DEFAULT_WAIT_SECONDS = 10;
const LOOK_MILLISECONDS = 100;

/**
 * Asks a live run to pause, go on, skip its wave or stop, and says what it is at. The request is durable, and belongs to that process:
 * a run that is resumed later does not see it. Throws `usage` where no run is under way that could be asked.
 */
export async function controlRun(options: ControlOptions): Promise<ControlResult> {
  const { out, state, action, dryRun = false } = options;
  const folder = stateFolder(out, state);
  const before = await runIn(folder);
  const result = { out: folder.out, state: folder.root, action };
  if (action === 'status') return { ...result, request: null, ...(await standing(options, folder)) };
  if (before === undefined) throw noRun(folder, action, (await journalOf(options))?.status);
  if (dryRun) return { ...result, request: null, ...(await standing(options, folder)) };
  const { token, status } = before;
  const wave = action === 'skip' ? status.wave : undefined;
  await leaveRequest(folder.root, token, { action, ...(wave !== undefined && { wave }) } satisfies ControlRequest);
  const isTaken = await isTakenWithin(options.waitSeconds ?? DEFAULT_WAIT_SECONDS, { folder, token }, options.signal);
  return { ...result, request: isTaken ? 'taken' : 'waiting', ...(await standing(options, folder)) };
}

/** The live run that has a state folder, if one does. */
async function runIn(folder: StateFolder) {
  const holder = await holderOf(folder.root);
  const status = holder && runStatusIn(holder);
  return holder && status && { ...holder, status };
}

async function standing(options: ControlOptions, folder: StateFolder): Promise<Pick<ControlResult, 'run' | 'journal'>> {
  const found = await runIn(folder);
  const run = found === undefined ? null : { ...found.status, process: found.pid, host: found.host };
  return { run, journal: (await journalOf(options, run !== null)) ?? null };
}

async function journalOf(
  { out, state }: ControlOptions,
  isLive = false,
): Promise<ControlResult['journal'] | undefined> {
  try {
    const { status, history } = await readLog({ out, ...(state !== undefined && { state }) });
    const active = history.waves.filter((wave) => wave.active);
    return { status, kept: active.length, sparsity: active.at(-1)?.sparsity ?? 0 };
  } catch (error) {
    // A run that prepares has no journal yet; anything else without one has no history to tell of.
    if (isLive && error instanceof BirdboneError && error.code === 'usage') return undefined;
    throw error;
  }
}

/** Whether the run takes the request in time. One that ends before leaves it behind; the next to have the folder removes it. */
async function isTakenWithin(
  seconds: number,
  { folder, token }: { readonly folder: StateFolder; readonly token: string },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const end = performance.now() + 1000 * seconds;
  while (hasRequest(folder.root, token)) {
    stopIfAborted(signal);
    if (performance.now() >= end) return false;
    await setTimeout(LOOK_MILLISECONDS);
  }
  return true;
}

function noRun({ out }: StateFolder, action: ControlAction, status: string | undefined): BirdboneError {
  const why = status === undefined || status === 'running' ? 'no process works on it' : `it is ${status}`;
  return new BirdboneError('usage', `There is no run of ${out} to ${action}: ${why}.`, {
    suggestions: status === 'running' ? ['Go on with it: the same command with --resume.'] : [],
  });
}
