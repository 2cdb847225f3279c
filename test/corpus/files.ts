import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Writes a file of this name in a new temporary folder and returns its path. */
export function temporaryFile(name: string, content: string | Uint8Array): string {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'birdbone-text-')), name);
  writeFileSync(file, content);
  return file;
}
