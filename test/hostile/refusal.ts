import { writeFileSync } from 'node:fs';
import path from 'node:path';
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
