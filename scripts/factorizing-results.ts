import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One measured model, as docs/results/factorizing.json keeps it. */
export interface Row {
  readonly model: string;
  /** Factors in the place of weights, or factors beside weights of few bits. */
  readonly what: 'factors' | 'correction';
  /** Fraction of the parameters that goes; of a correction its rank, 0 for none. */
  readonly ratio: number;
  readonly algorithm: string;
  readonly ranks: string;
  readonly windows: number;
  readonly perplexity: number;
  readonly accuracy: number;
  /** Numbers in the linears inside the blocks, of those of the dense model; of a correction those of its factors. */
  readonly kept: number;
  readonly seconds: number;
  readonly date: string;
  readonly commit: string;
}

const FILE = fileURLToPath(new URL('../docs/results/factorizing.json', import.meta.url));
const PAGE = fileURLToPath(new URL('../docs/lowrank.md', import.meta.url));

/** What tells rows apart, in words: what --only looks at. */
export function nameOf({ model, what, ratio, algorithm, ranks }: Omit<Row, 'perplexity'>): string {
  return [model, what, ratio, algorithm, ranks].join(' ');
}

export function readRows(): readonly Row[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Row[]) : [];
}

/** Puts a row in the place of the one of its name, or at the end. */
export function keepRow(row: Row): void {
  const others = readRows().filter((other) => nameOf(other) !== nameOf(row));
  writeFileSync(FILE, `${JSON.stringify([...others, row], null, 2)}\n`);
}

/** Puts the tables into their sections of docs/lowrank.md. */
export function writeTables(): void {
  const rows = readRows();
  const factors = rows.filter(({ what }) => what === 'factors');
  const corrections = rows.filter(({ what }) => what === 'correction');
  writeSection('factors', [
    '| checkpoint | `--ratio` | `--algorithm` | `--ranks` | perplexity | accuracy | parameters in blocks | windows | seconds | made |',
    '|---|---:|---|---|---:|---:|---:|---:|---:|---|',
    ...factors.map(({ model, ratio, algorithm, ranks, kept, ...row }) =>
      line([model, ratio, algorithm, ranks, ...figures(row), `${(100 * kept).toFixed(1)} %`, ...made(row)]),
    ),
  ]);
  writeSection('corrections', [
    '| checkpoint | stored as | rank | correction | perplexity | accuracy | numbers of the factors, of the weights | windows | seconds | made |',
    '|---|---|---:|---|---:|---:|---:|---:|---:|---|',
    ...corrections.map(({ model, ratio, algorithm, ranks, kept, ...row }) =>
      line([model, ranks, ratio, algorithm, ...figures(row), `${(100 * kept).toFixed(1)} %`, ...made(row)]),
    ),
  ]);
}

function figures({ perplexity, accuracy }: Pick<Row, 'perplexity' | 'accuracy'>): string[] {
  return [perplexity.toFixed(3), `${(100 * accuracy).toFixed(2)} %`];
}

function made({ windows, seconds, date, commit }: Pick<Row, 'windows' | 'seconds' | 'date' | 'commit'>): string[] {
  return [String(windows), seconds.toFixed(0), `${date}, ${commit}`];
}

function line(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`;
}

function writeSection(name: string, lines: readonly string[]): void {
  const [start, end] = [`<!-- compare:${name} -->`, `<!-- /compare:${name} -->`];
  const text = readFileSync(PAGE, 'utf8');
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has no section ${start} … ${end}.`);
  writeFileSync(PAGE, `${text.slice(0, from)}${start}\n${lines.join('\n')}\n${text.slice(to)}`);
}
