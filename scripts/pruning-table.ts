import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { disorders } from './pruning-order.js';
import type { Comparison, Row } from './pruning-results.js';
import { CASES, VARIANTS } from './pruning-variants.js';

/** The largest relative difference in perplexity between the two sides. */
const LIMIT = 0.01;

/** Perplexities on the whole text by a third implementation (fp32, not in this repository), and how near ours must come. */
const PUBLISHED = [
  { model: 'tinystories-656k', protocol: 'A', pattern: 'dense', perplexity: 22.0013, limit: 0.001 },
  { model: 'tinystories-656k', protocol: 'B', pattern: 'dense', perplexity: 30.9266, limit: 0.001 },
  { model: 'tinystories-656k', protocol: 'B', method: 'magnitude', pattern: '50%', perplexity: 67.52, limit: 0.005 },
  { model: 'tinystories-656k', protocol: 'A', method: 'wanda', pattern: '50%', perplexity: 37.52, limit: 0.02 },
  { model: 'tinystories-656k', protocol: 'B', method: 'wanda', pattern: '50%', perplexity: 57.63, limit: 0.02 },
  { model: 'novels-5m', protocol: 'B', pattern: 'dense', perplexity: 65.296, limit: 0.001 },
  { model: 'novels-5m', protocol: 'B', method: 'wanda', pattern: '50%', perplexity: 67.37, limit: 0.02 },
];

/** The published figure of a variant, when there is one. */
export function publishedOf(row: Omit<Row, 'passages' | 'calibrationWindows'>): (typeof PUBLISHED)[number] | undefined {
  return PUBLISHED.find(
    (each) =>
      each.model === row.model &&
      each.protocol === row.protocol &&
      each.method === row.method &&
      each.pattern === row.pattern,
  );
}

/** docs/pruning-table.md of all rows there are, and in words every figure that is further off than its limit. */
export function renderTable(results: readonly Comparison[]): { markdown: string; failures: string[] } {
  const rows = inTableOrder(results);
  const published = rows.flatMap((each) => {
    const row = publishedOf(each);
    return row === undefined ? [] : [{ each, row, difference: wholeOf(each) / row.perplexity - 1 }];
  });
  const failures = [
    ...rows.flatMap((each) => {
      const difference = differenceOf(each);
      return difference === undefined ? [] : [{ each, difference, limit: LIMIT }];
    }),
    ...published.map(({ each, row, difference }) => ({ each, difference, limit: row.limit })),
  ]
    .filter(({ difference, limit }) => !(Math.abs(difference) <= limit))
    .map(({ each, difference, limit }) => `${each.model} ${variantOf(each)}: ${difference}, limit ${limit}`);
  const publishedLines = published.map(({ each, row, difference }) =>
    cells([
      each.model,
      variantOf(each),
      each.protocol,
      wholeOf(each).toFixed(4),
      row.perplexity,
      difference.toExponential(1),
      row.limit,
    ]),
  );
  const markdown = `${preamble()}\n${section(rows.map(comparisonLine), publishedLines)}${missing(rows)}`;
  return { markdown, failures: [...failures, ...disorders(rows)] };
}

function inTableOrder(results: readonly Comparison[]): Comparison[] {
  const place = ({ model, method, pattern, protocol }: Row) =>
    CASES.findIndex((each) => each.model === model) * 1000 +
    VARIANTS.findIndex((each) => each.method === method && each.pattern === pattern) * 2 +
    (protocol === 'A' ? 1 : 0);
  return [...results].sort((left, right) => place(left) - place(right));
}

function comparisonLine(each: Comparison): string {
  const { ours, reference } = each;
  return cells([
    each.model,
    variantOf(each),
    `${each.protocol}, ${each.passages}`,
    ours.figures.perplexity.toFixed(4),
    reference?.figures.perplexity.toFixed(4) ?? '',
    differenceOf(each)?.toExponential(1) ?? '',
    percent(ours.figures.accuracy),
    reference === undefined ? '' : percent(reference.figures.accuracy),
    each.differing === undefined ? '' : (1e6 * each.differing).toFixed(1),
    ours.seconds === 0 ? '' : `${ours.seconds} s`,
    `${ours.date}, ${ours.commit}`,
  ]);
}

function differenceOf({ ours, reference }: Comparison): number | undefined {
  return reference && ours.figures.perplexity / reference.figures.perplexity - 1;
}

const wholeOf = ({ whole, ours }: Comparison) => (whole ?? ours.figures).perplexity;

function section(rows: readonly string[], published: readonly string[]): string {
  const header = cells([
    'checkpoint',
    'variant',
    'protocol, passages',
    'perplexity',
    'reference',
    'difference',
    'accuracy',
    'reference',
    'masks differ, per million',
    'time',
    'made',
  ]);
  const again = cells(['checkpoint', 'variant', 'protocol', 'perplexity', 'published', 'difference', 'limit']);
  return [
    header,
    '|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|',
    ...rows,
    '',
    'Against figures published with the checkpoints, on the whole evaluation text:',
    '',
    again,
    '|---|---|---|---:|---:|---:|---:|',
    ...published,
    '',
  ].join('\n');
}

/** Says which rows of the plan nobody has made yet. */
function missing(rows: readonly Comparison[]): string {
  const absent = CASES.flatMap(({ model }) =>
    VARIANTS.filter((each) => !rows.some((row) => row.model === model && sameVariant(row, each))).map(
      (each) => `${model} ${variantOf(each)}`,
    ),
  );
  return absent.length === 0 ? '' : `\nNot made yet: ${absent.join('; ')}.\n`;
}

function sameVariant(row: Pick<Row, 'method' | 'pattern'>, other: Pick<Row, 'method' | 'pattern'>): boolean {
  return row.method === other.method && row.pattern === other.pattern;
}

/** The commit that is checked out, and whether the code that is compared differs from it. */
export async function describeCommit(): Promise<string> {
  const git = async (...words: string[]) => (await promisify(execFile)('git', words)).stdout.trim();
  const changed = (await git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'test/reference')) !== '';
  return `${await git('rev-parse', '--short', 'HEAD')}${changed ? ' with uncommitted changes' : ''}`;
}

function preamble(): string {
  return `# Pruning against an independent implementation

Made by \`npm run compare:pruning\` of docs/results/pruning.json, which has each row's device, date and commit; \`-- --only TEXT\` makes
some rows anew, \`-- --render\` only this page.

The reference is test/reference: plain float64 TypeScript written from the papers, which shares no code with src/ (its own reading of
safetensors, forward pass, ranking, factorizations and calibration; both sides use the @huggingface/tokenizers library). Both sides
prune the same checkpoint: magnitude ranks within each matrix, Wanda within each output row, SparseGPT within blocks of 128
columns, ALPS within each matrix, N:M within every M inputs; ⌊n · s⌋ weights go, ties by index. Calibration: the first 128 windows of
256 tokens, block by block on already pruned inputs. Protocol A scores documents (BOS, at most 512 tokens), B windows of 256 tokens.
Differences are relative, (ours − other) / other, in perplexity; the command fails where one is above ${LIMIT} against the
reference, or above its limit against a published figure, and where a better method does worse: SparseGPT must beat Wanda and Wanda
magnitude at 2:4, SparseGPT must be as good as Wanda at 50 %, and SparseGPT with refit, or ALPS, must beat SparseGPT. "Masks differ"
counts the weights that one side keeps and the other removes: scores that f32 and f64 arithmetic rank differently. "time" is the
product's, calibration included, on two cores that other work may have shared. Rows made at b0398b2 were kept with four digits after
the point.
`;
}

function variantOf({ method, pattern }: Pick<Row, 'method' | 'pattern'>): string {
  return method === undefined ? pattern : `${method} ${pattern}`;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

function cells(values: readonly (string | number)[]): string {
  return `| ${values.join(' | ')} |`;
}
