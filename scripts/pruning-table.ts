import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Figures {
  readonly perplexity: number;
  readonly accuracy: number;
  readonly tokens: number;
}

/** One variant of one checkpoint, by both sides on the same passages. */
export interface Comparison {
  readonly model: string;
  readonly method?: string;
  readonly pattern: string;
  /** A: documents, B: windows. */
  readonly protocol: string;
  readonly passages: number;
  readonly ours: Figures;
  /** Ours on the whole evaluation text, where the comparison uses a part of it. */
  readonly whole?: Figures;
  readonly reference: Figures;
  /** Share of the weights that one side keeps and the other removes; undefined for the dense model. */
  readonly differing: number | undefined;
}

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

type Row = Pick<Comparison, 'model' | 'method' | 'pattern' | 'protocol'>;

/** The published figure of a variant, when there is one. */
export function publishedOf(row: Row): (typeof PUBLISHED)[number] | undefined {
  return PUBLISHED.find(
    (each) =>
      each.model === row.model &&
      each.protocol === row.protocol &&
      each.method === row.method &&
      each.pattern === row.pattern,
  );
}

/** docs/pruning-table.md, and in words every figure that is further off than its limit. */
export function renderTable(
  comparisons: readonly Comparison[],
  run: { readonly commit: string; readonly device: string },
): { markdown: string; failures: string[] } {
  const published = comparisons.flatMap((each) => {
    const row = publishedOf(each);
    return row === undefined ? [] : [{ each, row, difference: wholeOf(each).perplexity / row.perplexity - 1 }];
  });
  const failures = [
    ...comparisons.map((each) => ({ each, difference: differenceOf(each), limit: LIMIT })),
    ...published.map(({ each, row, difference }) => ({ each, difference, limit: row.limit })),
  ]
    .filter(({ difference, limit }) => !(Math.abs(difference) <= limit))
    .map(({ each, difference, limit }) => `${each.model} ${variantOf(each)}: ${difference}, limit ${limit}`);
  const publishedLines = published.map(({ each, row, difference }) =>
    cells([
      each.model,
      variantOf(each),
      each.protocol,
      wholeOf(each).perplexity.toFixed(4),
      row.perplexity,
      difference.toExponential(1),
      row.limit,
    ]),
  );
  return { markdown: `${preamble(run)}\n${section(comparisons.map(comparisonLine), publishedLines)}`, failures };
}

function comparisonLine(each: Comparison): string {
  return cells([
    each.model,
    variantOf(each),
    `${each.protocol}, ${each.passages}`,
    each.ours.perplexity.toFixed(4),
    each.reference.perplexity.toFixed(4),
    differenceOf(each).toExponential(1),
    percent(each.ours.accuracy),
    percent(each.reference.accuracy),
    each.differing === undefined ? '' : (1e6 * each.differing).toFixed(1),
  ]);
}

const differenceOf = ({ ours, reference }: Comparison) => ours.perplexity / reference.perplexity - 1;
const wholeOf = ({ whole, ours }: Comparison) => whole ?? ours;

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
  ]);
  const again = cells(['checkpoint', 'variant', 'protocol', 'perplexity', 'published', 'difference', 'limit']);
  return [
    header,
    '|---|---|---|---:|---:|---:|---:|---:|---:|',
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

/** The commit that is checked out, and whether the code that is compared differs from it. */
export async function describeCommit(): Promise<string> {
  const git = async (...words: string[]) => (await promisify(execFile)('git', words)).stdout.trim();
  const changed = (await git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'test/reference')) !== '';
  return `${await git('rev-parse', '--short', 'HEAD')}${changed ? ' with uncommitted changes' : ''}`;
}

function preamble({ commit, device }: { readonly commit: string; readonly device: string }): string {
  const { user, system } = process.cpuUsage();
  return `# Pruning against an independent implementation

Made by \`npm run compare:pruning\` on ${new Date().toISOString().slice(0, 10)} at commit ${commit};
${device}; Node ${process.versions.node}; ${((user + system) / 60e6).toFixed(0)} CPU minutes, nearly all of them the reference's.

The reference is test/reference: plain float64 TypeScript written from the papers, which shares no code with src/ (its own reading of
safetensors, forward pass, ranking and calibration; both sides use the @huggingface/tokenizers library). Both sides prune the
same checkpoint: magnitude ranks within each matrix, Wanda within each output row, N:M within every M inputs; ⌊n · s⌋ weights
go, ties by index. Calibration: the first 128 windows of 256 tokens, block by block on already pruned inputs. Protocol A scores
documents (BOS, at most 512 tokens), B windows of 256 tokens.
Differences are relative, (ours − other) / other, in perplexity; the command fails where one is above ${LIMIT} against the
reference, or above its limit against a published figure. "Masks differ" counts the weights that one side keeps and the other
removes: scores that f32 and f64 arithmetic rank differently.
`;
}

function variantOf({ method, pattern }: Row): string {
  return method === undefined ? pattern : `${method} ${pattern}`;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

function cells(values: readonly (string | number)[]): string {
  return `| ${values.join(' | ')} |`;
}
