import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const LIBRARY = path.join(
  path.join(here, 'node_modules', '@node-llama-cpp', 'linux-x64', 'bins', 'linux-x64'),
  'libggml-base.so',
);
const PROGRAM = path.join(here, 'gguf-verdicts.py');

/** A tensor as llama.cpp found it. */
export interface FoundTensor {
  readonly name: string;
  /** From the start of the file. */
  readonly start: number;
  readonly byteLength: number;
}

/** What llama.cpp's own reader says of each file: its tensors when it accepts, else how it refused. */
export function ggufVerdicts(files: readonly string[]): (readonly FoundTensor[] | 'refused' | 'crashed')[] {
  const said = execFileSync('python3', [PROGRAM, LIBRARY], { input: files.join('\n'), encoding: 'utf8' });
  const lines = said.trimEnd().split('\n');
  if (lines.length !== files.length) throw new Error(`${lines.length} verdicts on ${files.length} files.`);
  return lines.map((line) => {
    if (line === 'refused' || line === 'crashed') return line;
    const tensors = JSON.parse(line.slice('accepted '.length)) as [string, number, number][];
    return tensors.map(([name, start, byteLength]) => ({ name, start, byteLength }));
  });
}
