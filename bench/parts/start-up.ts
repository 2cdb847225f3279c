import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../record.js';
import { interleave, secondsOfProgram } from '../timing.js';
import { partOf } from './part.js';

const bin = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../bin/run.js');
const ROUNDS = 15;

export interface StartUp {
  readonly helpMilliseconds: number;
  readonly bareNodeMilliseconds: number;
}

export default partOf('Start-up against node -e 0', startUp, renderStartUp);

/** `birdbone --help` against a Node that does nothing: medians of 15 runs each, turn about. Needs a build. */
async function startUp(): Promise<StartUp> {
  const { ours, theirs } = await interleave(
    ROUNDS,
    async () => secondsOfProgram(process.execPath, [bin, '--help']),
    async () => secondsOfProgram(process.execPath, ['-e', '0']),
  );
  const result = { helpMilliseconds: 1000 * ours, bareNodeMilliseconds: 1000 * theirs };
  console.log(`  ${renderRow(result).join(' ms, ')} ms over bare node`);
  return result;
}

function renderStartUp(result: StartUp): string {
  return markdownTable(['`birdbone --help`, ms', '`node -e 0`, ms', 'difference, ms'], [renderRow(result)]);
}

function renderRow({ helpMilliseconds, bareNodeMilliseconds }: StartUp): string[] {
  return [helpMilliseconds, bareNodeMilliseconds, helpMilliseconds - bareNodeMilliseconds].map((value) =>
    value.toFixed(0),
  );
}
