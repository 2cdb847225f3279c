import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { writeFileDurably, writing } from '../checkpoint/index.js';
import { CONTROL_ACTIONS, type ControlAction } from './control-record.js';

/** A request to the run that holds a state folder. */
export interface ControlRequest {
  readonly action: ControlAction;
  /** Of `skip`: the wave that is meant. One that is judged by then is none to be skipped. */
  readonly wave?: number;
}

/** A request is some dozen bytes; whatever is larger is none. */
const MAX_REQUEST_BYTES = 1024;

const NAME = /^control\.[0-9a-f]+(?:\.taken)?$/;

/**
 * The file of requests to whoever has the lock `token`. It belongs to that process alone: a run that goes on later has another lock,
 * and never does what was asked of one that is gone.
 */
export function requestFile(stateFolder: string, token: string): string {
  return path.join(stateFolder, token.replace(/^lock\./, 'control.'));
}

/** Leaves a request; it is on disk when this returns, in the place of one that was not taken yet. Throws `unwritable`. */
export async function leaveRequest(stateFolder: string, token: string, request: ControlRequest): Promise<void> {
  await writeFileDurably(requestFile(stateFolder, token), `${JSON.stringify(request)}\n`);
}

/** Whether a request was not taken yet, or what follows from it is not done. */
export function hasRequest(stateFolder: string, token: string): boolean {
  const file = requestFile(stateFolder, token);
  return existsSync(file) || existsSync(takenFile(file));
}

/** Another request may take a file's place at any time: what is read and removed must be one and the same. */
function takenFile(file: string): string {
  return `${file}.taken`;
}

/**
 * Takes the request that waits, if one does, and has it carried out; whoever asked sees it gone when that is done. `malformed` stands
 * for a file that holds none. Only for the lock's holder. Throws `unwritable`, and what `carryOut` throws.
 */
export async function takeRequest(
  stateFolder: string,
  token: string,
  carryOut: (request: ControlRequest | 'malformed') => Promise<void>,
): Promise<void> {
  const file = requestFile(stateFolder, token);
  if (!existsSync(file)) return;
  const taken = takenFile(file);
  await writing(file, () => rename(file, taken));
  const { size } = await stat(taken);
  await carryOut(parseRequest(size <= MAX_REQUEST_BYTES ? await readFile(taken, 'utf8') : ''));
  await writing(taken, () => rm(taken, { force: true }));
}

function parseRequest(text: string): ControlRequest | 'malformed' {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'malformed';
  }
  if (typeof value !== 'object' || value === null) return 'malformed';
  const { action, wave } = value as { readonly action?: unknown; readonly wave?: unknown };
  const known = CONTROL_ACTIONS.find((each) => each === action);
  if (known === undefined || (wave !== undefined && !Number.isSafeInteger(wave))) return 'malformed';
  return { action: known, ...(wave !== undefined && { wave: wave as number }) };
}

/** Names in a state folder of requests to other processes than the one that has it by the lock `token`: they are gone. */
export async function staleRequests(stateFolder: string, token: string | undefined): Promise<string[]> {
  const own = token === undefined ? undefined : path.basename(requestFile(stateFolder, token));
  const names = existsSync(stateFolder) ? await readdir(stateFolder) : [];
  return names.filter((name) => NAME.test(name) && name.replace(/\.taken$/, '') !== own);
}
