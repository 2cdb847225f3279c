import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { BirdboneError } from '../../src/errors.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

const MAX_MILLISECONDS = 1000;

/** The error of opening a file with these bytes, which must come in time, name the file, and say what to try. */
export async function refusalOf(name: string, content: Uint8Array): Promise<BirdboneError> {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, content);
  const start = performance.now();
  const error = await openCheckpoint(file).then(
    () => new Error('it was opened'),
    (reason: unknown) => reason,
  );
  expect(performance.now() - start).toBeLessThan(MAX_MILLISECONDS);
  expect(error).toBeInstanceOf(BirdboneError);
  const refusal = error as BirdboneError;
  expect(refusal.file).toBe(file);
  expect(refusal.message).toContain(file);
  expect(refusal.suggestions.length).toBeGreaterThan(0);
  return refusal;
}

export interface Measured {
  readonly tensors?: number;
  readonly code?: string;
  readonly message: string;
  readonly milliseconds: number;
  readonly extraMegabytes: number;
}

/** How opening a file goes in a process of its own, with the time and the memory that it takes. */
export function measured(file: string): Measured {
  return measuredBy(new URL('../fixtures/open-and-measure.ts', import.meta.url), file) as Measured;
}

export interface MeasuredScan extends Pick<Measured, 'milliseconds' | 'extraMegabytes'> {
  /** The rules of what was found, each once. */
  readonly rules: readonly string[];
}

/** The same of scanning it. */
export function measuredScan(file: string): MeasuredScan {
  return measuredBy(new URL('../fixtures/scan-and-measure.ts', import.meta.url), file) as MeasuredScan;
}

function measuredBy(script: URL, file: string): unknown {
  const args = ['--import', 'tsx', fileURLToPath(script), file];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}
