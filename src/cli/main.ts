import { run } from '@oclif/core/run';
import { printFailure } from './failure.js';

/**
 * Runs the command line and sets the process's exit code. Every failure ends here, so that its exit code is the same with
 * and without `--json` (docs/decisions/2026-11-21-exit-codes.md).
 */
export async function main(argv: string[], root: string): Promise<void> {
  try {
    await run(argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv, root);
  } catch (error) {
    process.exitCode = printFailure(error, wantsJson(argv));
  }
}

function wantsJson(argv: readonly string[]): boolean {
  // oclif's own switch for environments that always want JSON.
  if (process.env['BIRDBONE_CONTENT_TYPE']?.toLowerCase() === 'json') return true;
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? undefined : end).includes('--json');
}
