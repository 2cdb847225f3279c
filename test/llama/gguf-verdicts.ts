import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LIBRARY = fileURLToPath(
  new URL('./node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so', import.meta.url),
);
const PROGRAM = fileURLToPath(new URL('./gguf-verdicts.py', import.meta.url));

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
