import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { planGguf } from '../../src/checkpoint/gguf/plan.js';
import { megabytes } from '../machine.js';
import { measureNode } from '../measured-process.js';
import { markdownTable } from '../record.js';
import { partOf } from './part.js';

const bin = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../bin/run.js');

/** Two tensors of 5 GiB: offsets pass 2^32 within one tensor as well as between them. */
const ROWS = 655_360;
const COLUMNS = 4096;
const TENSOR_BYTES = 2 * ROWS * COLUMNS;
/** What birdbone promises for reading, hashing, verifying and diffing, whatever the size. */
const BOUND_BYTES = 300_000_000;

export interface Sparse {
  readonly bytes: number;
  readonly commands: readonly { readonly command: string; readonly seconds: number; readonly peakBytes: number }[];
}

export default partOf('A sparse file of 10 GB', sparse, renderSparse);

/** Time and peak memory of hashing a sparse GGUF of 10 GiB, and of diffing two that differ at the start and the end. Needs a build. */
async function sparse(): Promise<Sparse> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-sparse-'));
  try {
    const [first, second] = [path.join(folder, 'first.gguf'), path.join(folder, 'second.gguf')];
    writeSparse(first, 2 * TENSOR_BYTES - 1);
    writeSparse(second, 0);
    const commands: Sparse['commands'][number][] = [];
    for (const args of [
      ['hash', first],
      ['diff', first, second],
    ]) {
      const { seconds, peakBytes } = await measureNode([bin, ...args, '--quiet'], folder);
      commands.push({ command: args[0]!, seconds, peakBytes });
      console.log(`  ${args[0]!.padEnd(8)} ${seconds.toFixed(1)} s, peak ${megabytes(peakBytes)}`);
    }
    return { bytes: 2 * TENSOR_BYTES, commands };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function renderSparse({ commands }: Sparse): string {
  return markdownTable(
    ['command', 'time', 'peak memory', 'bound', ''],
    commands.map(({ command, seconds, peakBytes }) => [
      `\`${command}\``,
      `${seconds.toFixed(1)} s`,
      megabytes(peakBytes),
      megabytes(BOUND_BYTES),
      peakBytes <= BOUND_BYTES ? 'inside' : '**above**',
    ]),
  );
}

/** Two BF16 tensors of zeros but for one byte of their data, which take no disk. */
function writeSparse(file: string, byte: number): void {
  const info = (name: string) => ({ name, dtype: 'BF16', shape: [ROWS, COLUMNS], byteLength: TENSOR_BYTES }) as const;
  const { header, tensors, fileBytes } = planGguf(file, new Map(), [info('a'), info('b')]);
  const handle = openSync(file, 'w');
  writeSync(handle, header);
  ftruncateSync(handle, fileBytes);
  writeSync(handle, Buffer.of(1), 0, 1, tensors.get('a')!.start + byte);
  closeSync(handle);
}
