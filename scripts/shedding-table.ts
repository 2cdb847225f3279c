/** What was measured of one folder. */
export interface Figures {
  readonly perplexity: number;
  readonly accuracy: number;
  readonly tokens: number;
  readonly parameters: number;
  readonly fileBytes: number;
  readonly architecture: string;
  /** Of each block. */
  readonly channels: readonly number[];
  readonly groups: readonly number[];
}

/** One line of the table; without a step it is the dense model's. */
export interface Row extends Figures {
  readonly model: string;
  /** That it was measured at. */
  readonly commit: string;
  readonly step?: {
    readonly plates: string;
    readonly sparsity: number;
    readonly shedding: string;
    readonly fold: string;
    readonly target: string;
    /** What was trained afterwards, in the same wave. */
    readonly heal?: { readonly steps?: number | undefined };
  };
  /** Processor time of the run that shed. */
  readonly seconds?: number;
}

/** A fold has to take back at least this part of what dropping costs in perplexity. */
const LEAST_GAIN = 0.1;

/** docs/shedding-table.md, and what is not as it has to be. */
export function renderSheddingTable(
  rows: readonly Row[],
  { windows, context }: { readonly windows: number; readonly context: number },
): { readonly markdown: string; readonly failures: readonly string[] } {
  const denseOf = (row: Row) => rows.find(({ model, step }) => model === row.model && step === undefined)!;
  const lines = rows.map((row) => renderRow(row, denseOf(row)));
  const failures = rows.flatMap((row) => foldFailure(row, rows, denseOf(row)));
  const markdown = `# What shedding costs, with and without the fold

Made by \`npm run compare:shedding\` at commit ${[...new Set(rows.map(({ commit }) => commit))].join(', ')}; figures in [results/shedding.json](results/shedding.json).

Each line is a folder that \`birdbone prune --plates\` has published in one wave, with the gate off, measured again with \`evaluate\`
(windows of ${context} tokens). Calibration: ${windows} windows of ${context} tokens. Nothing was trained afterwards but
where the line says healed: by so many steps of [healing](healing.md) on the calibration windows, with its defaults. \`none\` drops what is
shed, and chooses what to drop for that; \`ls\` folds it into what stays by least squares; \`flap\` keeps what it gave on average as a bias,
and chooses what varies least.

| checkpoint | shed | fold | written as | channels | KV groups | parameters | file, bytes | tokens | perplexity | × dense | accuracy | CPU s |
|---|---|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|
${lines.join('\n')}

The fold takes back ${gains(rows, denseOf)} of what dropping costs in perplexity.
`;
  return { markdown, failures };
}

function renderRow(row: Row, dense: Row): string {
  const { step } = row;
  const cells = [
    row.model,
    step === undefined ? 'nothing' : `${step.plates} ${step.sparsity}, ${step.shedding}, for ${step.target}`,
    step === undefined ? '' : `${step.fold}${step.heal === undefined ? '' : `, healed (${step.heal.steps} steps)`}`,
    row.architecture,
    same(row.channels),
    same(row.groups),
    `${row.parameters} (${percent(row.parameters / dense.parameters - 1)})`,
    `${row.fileBytes} (${percent(row.fileBytes / dense.fileBytes - 1)})`,
    row.tokens,
    row.perplexity.toFixed(3),
    (row.perplexity / dense.perplexity).toFixed(3),
    `${(100 * row.accuracy).toFixed(2)} %`,
    row.seconds ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

function same(values: readonly number[]): string {
  return new Set(values).size === 1 ? String(values[0]) : values.join(' ');
}

function percent(change: number): string {
  return `${(100 * change).toFixed(1)} %`;
}

/** What the fold takes back of a pair of rows that differ in it alone: 1 would be all. */
function gainOf(row: Row, rows: readonly Row[], dense: Row): number | undefined {
  if (row.step?.fold !== 'ls') return undefined;
  const key = ({ fold: _, ...rest }: NonNullable<Row['step']>) => JSON.stringify(rest);
  const dropped = rows.find(({ model, step }) => {
    return model === row.model && step?.fold === 'none' && key(step) === key(row.step!);
  });
  if (dropped === undefined) return undefined;
  return (dropped.perplexity - row.perplexity) / (dropped.perplexity - dense.perplexity);
}

function gains(rows: readonly Row[], denseOf: (row: Row) => Row): string {
  const found = rows.flatMap((row) => {
    const gain = gainOf(row, rows, denseOf(row));
    return gain === undefined ? [] : [`${(100 * gain).toFixed(0)} % (${row.model})`];
  });
  return found.join(' and ');
}

function foldFailure(row: Row, rows: readonly Row[], dense: Row): string[] {
  const gain = gainOf(row, rows, dense);
  if (gain === undefined || gain >= LEAST_GAIN) return [];
  return [`${row.model}: the fold takes back ${(100 * gain).toFixed(1)} % of what dropping costs`];
}
