import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What a model gives on the evaluation text. */
export interface Figures {
  readonly perplexity: number;
  readonly accuracy: number;
}

/** What every row has: what was done, and when and by what. */
interface Made {
  readonly model: string;
  readonly commit: string;
  readonly date: string;
  /** Of both cores together. */
  readonly cpuSeconds: number;
}

/** A model pruned once by Wanda, and healed. */
export interface Regained extends Made {
  readonly kind: 'regained';
  readonly sparsity: number;
  readonly healing: string;
  readonly steps: number;
  readonly dense: Figures;
  readonly pruned: Figures;
  readonly healed: Figures;
  /** Weights that are 0 in one of pruned and healed model and not in the other. */
  readonly zerosMoved: number;
}

/** The sparsity that waves come to inside the gate. */
export interface Reached extends Made {
  readonly kind: 'reached';
  readonly healing: string;
  readonly sparsity: number;
  readonly kept: number;
  readonly tried: number;
  readonly accuracyLoss: number;
  readonly perplexityRatio: number;
}

export type Row = Regained | Reached;

const FILE = fileURLToPath(new URL('../docs/results/healing.json', import.meta.url));
const PAGE = fileURLToPath(new URL('../docs/healing-table.md', import.meta.url));

export function readRows(): Row[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Row[]) : [];
}

/** What tells a row from the others. */
export function keyOf(row: Pick<Row, 'kind' | 'model' | 'healing'> & { readonly sparsity?: number }): string {
  const { kind, model, healing, sparsity } = row;
  return kind === 'regained' ? `${model} regained ${percent(sparsity!, 0)} ${healing}` : `${model} reached ${healing}`;
}

/** Puts a row in the place of the one with the same key, or at the end, in the file as it now is; then writes the page. */
export function keepRow(row: Row): void {
  const rows = [...readRows().filter((each) => keyOf(each) !== keyOf(row)), row];
  rows.sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
  writeFileSync(FILE, `${JSON.stringify(rows, undefined, 2)}\n`);
  writePage();
}

/** Part of the perplexity that was lost which healing has given back. */
export function regainedPart({ dense, pruned, healed }: Regained): number {
  return (pruned.perplexity - healed.perplexity) / (pruned.perplexity - dense.perplexity);
}

/** What falls short of what healing is for, a sentence each. */
export function shortfalls(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    if (row.kind === 'regained') return row.zerosMoved === 0 ? [] : [`${keyOf(row)}: ${row.zerosMoved} zeros moved`];
    if (row.healing === NONE) return [];
    const plain = rows.find(
      ({ kind, model, healing }) => kind === 'reached' && model === row.model && healing === NONE,
    );
    return plain === undefined || plain.sparsity < row.sparsity
      ? []
      : [`${keyOf(row)}: not above ${percent(plain.sparsity)}`];
  });
}

export const NONE = 'none';

export function writePage(): void {
  const rows = readRows();
  const regained = rows.filter((row) => row.kind === 'regained');
  const reached = rows.filter((row) => row.kind === 'reached');
  writeFileSync(
    PAGE,
    `${PREAMBLE}\n${table(REGAINED, regained.map(regainedCells))}\n${BETWEEN}\n${table(REACHED, reached.map(reachedCells))}`,
  );
}

const PREAMBLE = `# What healing gives back

Made by \`npm run compare:healing\`, row by row; [healing](healing.md) says what is done. All figures are on the evaluation text, which neither
pruning nor healing has seen; healing learns from the calibration text.

## Pruned once by Wanda, then healed
`;

const BETWEEN = `
"Regained" is the part of the lost perplexity that is back. No weight that is 0 becomes another number, or the other way round: this is
counted, and the comparison fails otherwise.

## How far waves come inside a gate of 3 %

The same waves (steps of 20 %, halved after each wave that the gate refuses, down to 1 %), with and without healing in each wave. The gate: relative loss
of next-token accuracy below 3 %.
`;

const REGAINED = [
  'model',
  'sparsity',
  'healing',
  'steps',
  'dense',
  'pruned',
  'healed',
  'regained',
  'CPU seconds',
  'commit',
];
const REACHED = ['model', 'healing', 'sparsity', 'waves kept', 'accuracy loss', 'perplexity', 'CPU seconds', 'commit'];

function regainedCells(row: Regained): string[] {
  const { model, sparsity, healing, steps, dense, pruned, healed, cpuSeconds, commit } = row;
  const perplexities = [dense, pruned, healed].map(({ perplexity }) => perplexity.toFixed(2));
  const part = percent(regainedPart(row));
  return [model, percent(sparsity, 0), healing, `${steps}`, ...perplexities, part, `${cpuSeconds}`, commit];
}

function reachedCells({
  model,
  healing,
  sparsity,
  kept,
  tried,
  accuracyLoss,
  perplexityRatio,
  cpuSeconds,
  commit,
}: Reached): string[] {
  const waves = `${kept} of ${tried}`;
  const cost = [percent(accuracyLoss, 2), `${perplexityRatio.toFixed(3)}x`];
  return [model, healing, percent(sparsity), waves, ...cost, `${cpuSeconds}`, commit];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('');
}

function percent(fraction: number, digits = 1): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}
