import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Figures {
  readonly perplexity: number;
  readonly accuracy: number;
}

/** What was pruned how, and what it is measured on: one row of the table. */
export interface Row {
  readonly model: string;
  readonly method?: string;
  readonly pattern: string;
  /** A: documents, B: windows. */
  readonly protocol: string;
  /** Passages that both sides score; `calibrationWindows` those that show what the weights do. */
  readonly passages: number;
  readonly calibrationWindows: number;
}

/** Figures of one side, and when and by what they were made. */
export interface Made {
  readonly figures: Figures;
  readonly date: string;
  readonly commit: string;
  readonly seconds: number;
}

/** One row as docs/results/pruning.json keeps it. */
export interface Comparison extends Row {
  readonly ours: Made & { readonly device: string };
  /** Ours on the whole evaluation text, where the comparison uses a part of it. */
  readonly whole?: Pick<Figures, 'perplexity'>;
  /** Absent for what the reference does not have. `source` names its code: other code makes the figures anew. */
  readonly reference?: Made & { readonly source: string; readonly masks: string };
  /** Share of the weights that one side keeps and the other removes; absent where nobody counted. */
  readonly differing?: number;
}

const FILE = fileURLToPath(new URL('../docs/results/pruning.json', import.meta.url));
const REFERENCE = fileURLToPath(new URL('../test/reference/', import.meta.url));

export function readResults(): Comparison[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Comparison[]) : [];
}

/** Puts a row in the place of the one with the same configuration, or at the end of what the file by now holds. */
export function keepResult(row: Comparison): Comparison[] {
  const others = readResults().filter((each) => keyOf(each) !== keyOf(row));
  const all = [...others, row];
  writeFileSync(FILE, `${JSON.stringify(all, null, 2)}\n`);
  return all;
}

export function resultOf(results: readonly Comparison[], row: Row): Comparison | undefined {
  return results.find((each) => keyOf(each) === keyOf(row));
}

function keyOf({ model, method, pattern, protocol, passages, calibrationWindows }: Row): string {
  return JSON.stringify([model, method ?? '', pattern, protocol, passages, calibrationWindows]);
}

/** A name for the reference's code as it is, without its tests and without what drives the product. */
export function referenceSource(): string {
  const files = readdirSync(REFERENCE).filter(
    (file) => file.endsWith('.ts') && !/\.test\.|our-pruning|tiny-model|main/.test(file),
  );
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(readFileSync(`${REFERENCE}${file}`));
  return hash.digest('hex').slice(0, 12);
}
