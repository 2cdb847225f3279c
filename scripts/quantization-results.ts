import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Side {
  /** Of the windows that both sides score, the first so many of the text. */
  readonly compared: number;
  readonly date: string;
  readonly commit: string;
  readonly seconds: number;
}

/** One row as docs/results/quantization.json keeps it. */
export interface Result {
  readonly name: string;
  readonly model: string;
  readonly comparedWindows: number;
  readonly ours: Side & {
    readonly device: string;
    /** Of the whole text, as `kl` is. */
    readonly perplexity: number;
    /** Mean KL(dense ‖ quantized) in nats. */
    readonly kl?: number;
    readonly bitsPerWeight?: number;
  };
  /** `source` names its code: other code makes the figures anew. */
  readonly reference?: Side & { readonly source: string };
  /** Share of integers that the two sides have different; absent where they were not held beside each other. */
  readonly differing?: number;
}

const FILE = fileURLToPath(new URL('../docs/results/quantization.json', import.meta.url));
const REFERENCE = new URL('../test/reference/', import.meta.url);

export function readResults(): readonly Result[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Result[]) : [];
}

/** Puts a row in the place of the one of its name, or at the end of what the file by now holds. */
export function keepResult(result: Result): readonly Result[] {
  const all = [...readResults().filter(({ name }) => name !== result.name), result];
  writeFileSync(FILE, `${JSON.stringify(all, null, 2)}\n`);
  return all;
}

/** A name for the reference's code as it is: what it shares with the pruning reference, and its own. */
export function referenceSource(): string {
  const own = readdirSync(new URL('quantization/', REFERENCE)).filter((file) => !/\.test\.|our-/.test(file));
  const files = ['forward.ts', 'load.ts', 'pool.ts', 'worker.ts', ...own.sort().map((file) => `quantization/${file}`)];
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(new URL(file, REFERENCE)));
  return hash.digest('hex').slice(0, 12);
}
