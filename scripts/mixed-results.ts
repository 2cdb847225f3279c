import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rowsFile, verdictOf } from './rows-file.js';

/** One model as it was stored, and measured on the whole text. */
export interface Side {
  /** What the budget is of: bits of a weight, or bytes of a file. */
  readonly size: number;
  readonly perplexity: number;
}

/** One row as docs/results/mixed.json keeps it. */
export interface Row {
  readonly name: string;
  readonly model: string;
  readonly windows: number;
  readonly bySize: boolean;
  readonly uniform: Side;
  readonly budget: Side;
  /** Perplexity with the budget over that with one scheme, and its 95 % interval, paired by windows. */
  readonly ratio: number;
  readonly interval: readonly [low: number, high: number];
  /** The forms that the budget chose, with how many matrices have each. */
  readonly forms: Readonly<Record<string, number>>;
  readonly device: string;
  readonly date: string;
  readonly commit: string;
  /** Of this process and its threads, for both models and their measurement. */
  readonly processorSeconds: number;
}

const PAGE = fileURLToPath(new URL('../docs/mixed-table.md', import.meta.url));

export const rows = rowsFile<Row>('mixed');

/** Writes the page of the rows that are kept. */
export function writePage(): void {
  writeFileSync(PAGE, page(rows.read()));
}

function page(kept: readonly Row[]): string {
  const lines = kept.map((row) => {
    const { uniform, budget, interval } = row;
    const sizes = [uniform, budget].map(({ size }) =>
      row.bySize ? `${(size / 1000).toFixed(1)} kB` : size.toFixed(3),
    );
    const unused = `${(100 * (1 - budget.size / uniform.size)).toFixed(2)} %`;
    const change = [row.ratio, ...interval].map((ratio) => `${(100 * (ratio - 1)).toFixed(2)} %`);
    const forms = Object.entries(row.forms).map(([form, count]) => `${count} × ${form}`);
    const cells = [row.model, row.name, ...sizes, unused, uniform.perplexity.toFixed(3), budget.perplexity.toFixed(3)];
    const [ratio, low, high] = change;
    return `| ${[...cells, `${ratio} (${low} to ${high})`, verdictOf(row), forms.join(', '), row.windows, `${row.processorSeconds} s`, `${row.date}, ${row.commit}`].join(' | ')} |`;
  });
  return `# A budget against one scheme for all, at equal size

Made by \`npm run compare:mixed\` of docs/results/mixed.json; \`-- --only TEXT\` makes some rows anew, \`-- --missing\` those that are not
there, \`-- --render\` only this page, \`-- --model NAME --windows N\` rows of another model and of less text.

Each row has all matrices in one scheme, and the same model with a budget (\`--bpw\`, for files of llama.cpp \`--size\`) of exactly what
that took, by the same algorithm and search for scales. Sizes are bits of a weight with scales and zero points, or kilobytes of the
whole file. Calibration: the first 128 windows of 256 tokens of calibration.txt. Perplexity is on all windows of 256 tokens of
eval.txt unless "windows" is less; the change has its 95 % interval from 1000 resamples of windows, paired. "better" and "worse" are
said where the whole interval is on one side. Time is of processors, for both models with their measurement.

| checkpoint | one scheme | size | size of the budget | unused | perplexity | with the budget | change | verdict | what was chosen | windows | time | made |
|---|---|---:|---:|---:|---:|---:|---:|---|---|---:|---:|---|
${lines.join('\n')}
`;
}
