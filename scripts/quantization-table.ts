import type { Result } from './quantization-results.js';
import { COMPARED_WINDOWS, MODEL, VARIANTS } from './quantization-rows.js';

/** The largest relative difference in perplexity between the two sides. */
const LIMIT = 0.01;

/** A perplexity by a third implementation (fp32, not in this repository, scales of absmax / 127), and how near ours must come. */
const PUBLISHED = [
  { name: 'dense', perplexity: 30.9266, limit: 0.001 },
  { name: 'rtn int8 per channel', perplexity: 30.933, limit: 0.002 },
];

/** What must do better than what, and by which figure: what the papers found. */
const ORDER: readonly { readonly better: string; readonly worse: string; readonly by: 'perplexity' | 'kl' }[] = [
  { better: 'gptq int3 g64', worse: 'rtn int3 g64', by: 'perplexity' },
  { better: 'gptq int4 g64', worse: 'rtn int4 g64', by: 'kl' },
  { better: 'gptq act-order int3 g64', worse: 'gptq int3 g64', by: 'kl' },
  { better: 'gptq act-order int4 g64', worse: 'gptq int4 g64', by: 'kl' },
  { better: 'awq int3 g64', worse: 'rtn int3 g64', by: 'perplexity' },
  { better: 'hqq int3 g64 asymmetric', worse: 'rtn int3 g64 asymmetric', by: 'perplexity' },
  { better: 'smoothquant w8a8 with outliers', worse: 'rtn w8a8 with outliers', by: 'perplexity' },
];

/** docs/quantization-table.md of all rows there are, and in words every figure that is not as it must be. */
export function renderTable(results: readonly Result[]): { markdown: string; failures: string[] } {
  const rows = VARIANTS.flatMap(({ name }) => results.find((each) => each.name === name) ?? []);
  const apart = rows.filter((row) => !(Math.abs(differenceOf(row) ?? 0) <= LIMIT));
  const published = PUBLISHED.flatMap(({ name, perplexity, limit }) => {
    const row = rows.find((each) => each.name === name);
    return row === undefined ? [] : [{ name, perplexity, limit, ours: row.ours.perplexity }];
  });
  const failures = [
    ...apart.map((row) => `${row.name}: ${differenceOf(row)} from the reference, limit ${LIMIT}`),
    ...published
      .filter(({ ours, perplexity, limit }) => !(Math.abs(ours / perplexity - 1) <= limit))
      .map(
        ({ name, ours, perplexity, limit }) => `${name}: ${ours / perplexity - 1} from the published, limit ${limit}`,
      ),
    ...disorders(rows),
  ];
  const markdown = [preamble(), table(rows), publishedTable(published), orderTable(rows), missing(rows)];
  return { markdown: markdown.join('\n'), failures };
}

function differenceOf({ ours, reference }: Result): number | undefined {
  return reference && ours.compared / reference.compared - 1;
}

function figureOf(rows: readonly Result[], name: string, by: 'perplexity' | 'kl'): number | undefined {
  const ours = rows.find((row) => row.name === name)?.ours;
  return ours?.[by];
}

function disorders(rows: readonly Result[]): string[] {
  return ORDER.flatMap(({ better, worse, by }) => {
    const [found, limit] = [figureOf(rows, better, by), figureOf(rows, worse, by)];
    if (found === undefined || limit === undefined || found <= limit) return [];
    return [`${better} has ${by} ${found}, worse than ${limit} of ${worse}`];
  });
}

function table(rows: readonly Result[]): string {
  const lines = rows.map((row) => {
    const { ours, reference, differing } = row;
    return cells([
      row.name,
      ours.bitsPerWeight?.toFixed(2) ?? '',
      ours.perplexity.toFixed(4),
      ours.kl?.toExponential(3) ?? '',
      ours.compared.toFixed(4),
      reference?.compared.toFixed(4) ?? '',
      differenceOf(row)?.toExponential(1) ?? '',
      differing === undefined ? '' : (1e6 * differing).toFixed(0),
      ours.seconds === 0 ? '' : `${ours.seconds} s`,
      `${ours.date}, ${ours.commit}`,
    ]);
  });
  const header = [
    'variant',
    'bits a weight',
    'perplexity',
    'KL, nats',
    'on the compared windows',
    'reference',
    'difference',
  ];
  const rest = ['integers differ, per million', 'time', 'made'];
  return [cells([...header, ...rest]), '|---|---:|---:|---:|---:|---:|---:|---:|---:|---|', ...lines, ''].join('\n');
}

function publishedTable(rows: readonly { name: string; ours: number; perplexity: number; limit: number }[]): string {
  const lines = rows.map(({ name, ours, perplexity, limit }) =>
    cells([name, ours.toFixed(4), perplexity, (ours / perplexity - 1).toExponential(1), limit]),
  );
  const header = cells(['variant', 'perplexity', 'published', 'difference', 'limit']);
  const title = 'Against figures published with the checkpoint:\n';
  return [title, header, '|---|---:|---:|---:|---:|', ...lines, ''].join('\n');
}

function orderTable(rows: readonly Result[]): string {
  const shown = (value: number | undefined) => (value === undefined ? 'not made' : value.toPrecision(5));
  const lines = ORDER.map(({ better, worse, by }) =>
    cells([better, worse, by, shown(figureOf(rows, better, by)), shown(figureOf(rows, worse, by))]),
  );
  const header = cells(['must not be worse', 'than', 'by', 'first', 'second']);
  return ['What the papers found:\n', header, '|---|---|---|---:|---:|', ...lines, ''].join('\n');
}

function missing(rows: readonly Result[]): string {
  const absent = VARIANTS.filter(({ name }) => !rows.some((row) => row.name === name)).map(({ name }) => name);
  return absent.length === 0 ? '' : `Not made yet: ${absent.join('; ')}.\n`;
}

function preamble(): string {
  return `# Quantization against an independent implementation

Made by \`npm run compare:quantization\` of docs/results/quantization.json; \`-- --only TEXT\` makes some rows anew, \`-- --missing\` those that
are not there, \`-- --render\` only this page.

The reference is test/reference/quantization: plain float64 TypeScript written from the papers, which shares no code with src/ (both
sides use the @huggingface/tokenizers library). Its GPTQ eliminates one column after the other from H⁻¹, where src/solvers factors and
goes by blocks; its W8A8 multiplies integers one by one. Checkpoint: ${MODEL}; calibration: the first 128 windows of 256 tokens of
calibration.txt, block by block on already quantized inputs; perplexity and KL on all windows of 256 tokens of eval.txt, and by both
sides on the first ${COMPARED_WINDOWS} of them. Both sides round weights under scales of absmax / ((2^b − 1) / 2) stored as F16
(compressed-tensors' rule), and w8a8's activations token by token under absmax / 127 (vLLM's); our side is read back from its stored
codes. "act-order" has static groups. Rows "with outliers" are of the same model with 64 times as large outputs of both norms in one
of 48 channels, and as much smaller weights behind them: it computes the same, and its activations are as those of large models.

Differences are relative, (ours − reference) / reference, in perplexity on the compared windows; the command fails where one is above
${LIMIT}, and where an order below does not hold. "time" is the product's, calibration included, on two cores that other work shared.
`;
}

function cells(values: readonly (string | number)[]): string {
  return `| ${values.join(' | ')} |`;
}
