import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What is pruned, its text, and what of the search is other than the default: the largest would take hours a row. */
export const MODELS = [
  { model: 'tinystories-656k', data: 'tinystories-1000', search: {} },
  { model: 'stories260k', data: 'tinystories-1000', search: {} },
  { model: 'novels-5m', data: 'novels', search: { clusters: 2, generations: 12 } },
] as const;
/** Single weights, and whole channels of the feed-forward networks. */
export const PATTERNS = ['50%', '70%', 'ffn 25%'] as const;
export type PatternName = (typeof PATTERNS)[number];
export const SEEDS = [0, 1, 2, 3, 4] as const;

/** What the same sparsity is divided by. With one width for all networks OWL has nothing to divide of channels. */
export function divisionsOf(pattern: PatternName): readonly string[] {
  return pattern === 'ffn 25%' ? ['uniform', 'cluster'] : ['uniform', 'owl', 'cluster'];
}

/** One measurement: what was pruned how, by which seed, and what that gives on the evaluation text. */
export interface ThresholdRow {
  readonly model: string;
  readonly pattern: string;
  readonly thresholds: string;
  readonly seed: number;
  /** Weights that are gone, of all that may go: equal for all rows of a model and pattern. */
  readonly gone: number;
  readonly of: number;
  readonly perplexity: number;
  readonly accuracy: number;
  /** Scored tokens of each window, and the sum of their negative log-likelihoods: rows are compared window by window. */
  readonly tokens: readonly number[];
  readonly losses: readonly number[];
  /** What the search expected of its division and of the uniform one: mean KL from the dense model, nats. */
  readonly expected?: { readonly chosen: string; readonly divergence: number; readonly uniform: number };
  /** Processor time of the pruning. */
  readonly cpuSeconds: number;
  readonly date: string;
  readonly commit: string;
}

const FILE = fileURLToPath(new URL('../docs/results/thresholds.json', import.meta.url));

export function readRows(): ThresholdRow[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as ThresholdRow[]) : [];
}

export function nameOf({
  model,
  pattern,
  thresholds,
  seed,
}: Pick<ThresholdRow, 'model' | 'pattern' | 'thresholds' | 'seed'>) {
  return `${model} ${pattern} ${thresholds} seed ${seed}`;
}

/** Puts a row in the place of the one of the same name, or at the end of what the file by now holds. One line a row. */
export function keepRow(row: ThresholdRow): void {
  const all = [...readRows().filter((each) => nameOf(each) !== nameOf(row)), row];
  writeFileSync(FILE, `[\n${all.map((each) => JSON.stringify(each)).join(',\n')}\n]\n`);
}
