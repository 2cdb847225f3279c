import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder, writing } from '../checkpoint/index.js';
import type { History } from './history.js';
import type { StateFolder } from './state-folder.js';

/** A file that a wave's work keeps its progress in; its folder is there. */
export interface ProgressPlace {
  readonly file: string;
  /** Whether an earlier attempt at the same wave has left one. */
  readonly isThere: boolean;
}

/** What progress files are called, and what a write that was cut off leaves beside them. */
export const PROGRESS_FILE = /^(?:wave-\d+\.safetensors|\.wave-\d+\.safetensors\.tmp-[0-9a-f]{12})$/;

/** The place for a wave's progress. Makes the folder. */
export async function progressPlace(folder: StateFolder, wave: number): Promise<ProgressPlace> {
  await writing(folder.progress, () => makeFolder(folder.progress));
  const file = path.join(folder.progress, `wave-${wave}.safetensors`);
  return { file, isThere: existsSync(file) };
}

/** Removes what waves have kept of their progress: the journal has their outcome now. */
export async function forgetProgress({ progress }: StateFolder): Promise<void> {
  await writing(progress, () => rm(progress, { recursive: true, force: true }));
}

/** Whether a run that is not over may go on from what lies in its progress folder. */
export function needsProgress({ begin, finished }: History): boolean {
  return begin !== undefined && finished === undefined;
}
