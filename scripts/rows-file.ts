import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What tells a row of a table from the others. */
interface NamedRow {
  readonly name: string;
  readonly model: string;
}

/** The rows that docs/results/`name`.json keeps, and a way to put one in the place of that of its name and model, or at the end. */
export function rowsFile<Row extends NamedRow>(name: string) {
  const file = fileURLToPath(new URL(`../docs/results/${name}.json`, import.meta.url));
  const read = (): readonly Row[] => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Row[]) : []);
  const keep = (row: Row): void => {
    const others = read().filter((each) => each.name !== row.name || each.model !== row.model);
    writeFileSync(file, `${JSON.stringify([...others, row], null, 2)}\n`);
  };
  return { read, keep };
}

/** In words, of a ratio of two perplexities of which the first is what the second is held against. */
export function verdictOf({ interval: [low, high] }: { readonly interval: readonly [low: number, high: number] }) {
  if (high < 1) return 'better';
  return low > 1 ? 'worse' : 'no difference seen';
}
