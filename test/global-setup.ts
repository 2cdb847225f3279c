import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isBuilt } from '../scripts/build-record.mjs';

/** What makes dist/vendor. */
const SCRIPTS = ['bundle-gradients.mjs', 'build-kernels.mjs', 'bundle-thread.mjs'];

const root = path.resolve(import.meta.dirname, '..');

export default function setUp(): () => void {
  makeVendorModules();
  return makeTemporaryFolder();
}

/** The tests run on the sources, but the build makes some modules of them: kernels, and what threads run. */
function makeVendorModules(): void {
  if (isBuilt(root)) return;
  for (const script of SCRIPTS) {
    execFileSync(process.execPath, [path.join(root, 'scripts', script)], { stdio: 'inherit' });
  }
}

/** Gives the processes of this run a folder of their own for temporary files, and returns what removes it with all that tests left there. */
function makeTemporaryFolder(): () => void {
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-tests-'));
  for (const name of ['TMPDIR', 'TEMP', 'TMP']) process.env[name] = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
