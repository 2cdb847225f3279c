import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rowsFile, verdictOf } from './rows-file.js';

/** One row as docs/results/joint.json keeps it. */
export interface Row {
  readonly model: string;
  /** In words, what is removed and how the rest is rounded. */
  readonly name: string;
  readonly windows: number;
  /** Perplexities. */
  readonly dense: number;
  readonly after: number;
  readonly joint: number;
  /** Perplexity of one sweep over that of two, and its 95 % interval, paired by windows. */
  readonly ratio: number;
  readonly interval: readonly [low: number, high: number];
  /** Zeros among the weights of the matrices, once they are rounded. */
  readonly zerosAfter: number;
  readonly zerosJoint: number;
  readonly device: string;
  readonly date: string;
  readonly commit: string;
  /** Of this process and its threads, for making all three models and measuring them. */
  readonly processorSeconds: number;
}

const PAGE = fileURLToPath(new URL('../docs/joint-table.md', import.meta.url));

export const rows = rowsFile<Row>('joint');

/** Writes the page of the rows that are kept. */
export function writePage(): void {
  writeFileSync(PAGE, page(rows.read()));
}

function page(kept: readonly Row[]): string {
  const lines = kept.map((row) => {
    const [ratio, low, high] = [row.ratio, ...row.interval].map((each) => `${(100 * (each - 1)).toFixed(2)} %`);
    const zeros = [row.zerosAfter, row.zerosJoint].map((part) => `${(100 * part).toFixed(1)} %`);
    const cells = [
      ...[row.model, row.name, row.dense.toFixed(3), row.after.toFixed(3), row.joint.toFixed(3)],
      ...[`${ratio} (${low} to ${high})`, verdictOf(row), ...zeros],
      ...[row.windows, `${row.processorSeconds} s`, `${row.date}, ${row.commit}`],
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return `# Removing and rounding in one sweep, against one after the other

Made by \`npm run compare:joint\` of docs/results/joint.json; \`-- --only TEXT\` makes some rows anew, \`-- --missing\` those that are not
there, \`-- --render\` only this page, \`-- --model NAME --windows N\` rows of another model and of less text.

"Two sweeps" is SparseGPT, and then GPTQ over what it has left, with its columns ordered by their inputs and weights that are 0 kept at 0.
"One sweep" is \`quantize --algorithm gptq\` with the same sparsity or pattern, which chooses masks while it rounds (Frantar & Alistarh
2023, section 3.5) and leaves columns in their order. Both have the same scheme and calibration: the first 128 windows of 256 tokens of
calibration.txt. Perplexity is on all windows of 256 tokens of eval.txt unless "windows" is less; the change is that from two sweeps to
one, with its 95 % interval from 1000 resamples of windows, paired. "better" and "worse" are said of one sweep, where the whole
interval is on one side. Zeros are all that are there when the weights are rounded, those that rounding makes among them.

| checkpoint | removed, rounded | perplexity | two sweeps | one sweep | change | verdict | zeros, two sweeps | zeros, one | windows | time | made |
|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---|
${lines.join('\n')}
`;
}
