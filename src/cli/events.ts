import { closeSync, openSync, writeSync } from 'node:fs';
import { BirdboneError } from '../errors.js';
import type { Event } from '../events.js';

/** Something that events go to while a command runs. */
export interface EventSink {
  readonly report: (event: Event) => void;
  readonly close: () => void;
}

/**
 * Writes each event as one JSON line to a file, or to standard output for `-`. A line is with the system when the call
 * returns, so that a reader, or whoever looks after a crash, sees every event that has happened.
 */
export function eventLines(target: string): EventSink {
  if (target === '-') return { report: (event) => process.stdout.write(`${JSON.stringify(event)}\n`), close: () => {} };
  const file = openForWriting(target);
  return { report: (event) => writeSync(file, `${JSON.stringify(event)}\n`), close: () => closeSync(file) };
}

function openForWriting(target: string): number {
  try {
    return openSync(target, 'w');
  } catch (cause) {
    throw new BirdboneError('usage', `Cannot write events to ${target}: ${(cause as Error).message}`, {
      suggestions: ['Name a file in a folder that exists, or - for standard output.'],
      cause,
    });
  }
}
