import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A Python program on a cold disk takes a few seconds to start. */
const PATIENCE_MS = 20_000;

/** What a program prints for --version; undefined where it is not installed, or does not start. */
export async function programVersion(program: string, folder: string): Promise<string | undefined> {
  try {
    return (await promisify(execFile)(program, ['--version'], { cwd: folder, timeout: PATIENCE_MS })).stdout.trim();
  } catch {
    // Not there, or not able to start: either way it is of no use.
    return undefined;
  }
}
