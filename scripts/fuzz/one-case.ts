import type { FuzzFormat, Verdict } from './fuzz-format.js';

/** RELIABILITY: a malformed file ends in a typed error within this time and this much memory beyond what was there. */
export const MAX_MILLISECONDS = 1000;
export const MAX_EXTRA_BYTES = 64 * 2 ** 20;

/** A case that seems too slow is run again: the machine may have been busy with something else, but not each time. */
const RUNS_OF_A_SLOW_CASE = 3;

export interface Outcome {
  readonly verdict: Verdict | 'failed';
  readonly milliseconds: number;
  /** What was thrown, when it failed. */
  readonly error?: unknown;
}

/** Runs the readers over one input once. */
export async function runCase(format: FuzzFormat, bytes: Uint8Array): Promise<Outcome> {
  const start = performance.now();
  try {
    return { verdict: await format.check(bytes), milliseconds: performance.now() - start };
  } catch (error) {
    return { verdict: 'failed', milliseconds: performance.now() - start, error };
  }
}

/** The least time of a few runs. */
export async function leastTime(format: FuzzFormat, bytes: Uint8Array): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS_OF_A_SLOW_CASE; run += 1) {
    least = Math.min(least, (await runCase(format, bytes)).milliseconds);
  }
  return least;
}

/** What makes two failures the same finding: the kind of error and its words, without names and numbers. */
export function signatureOf(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  const words = error.message
    .replace(/"(?:[^"\\]|\\.)*"/g, '"…"')
    .replace(/\d[\d.]*/g, 'N')
    .slice(0, 120);
  return `${error.name}: ${words}`;
}
