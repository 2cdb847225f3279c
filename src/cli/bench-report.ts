import { bar, table } from './picture.js';
import { formatBytes, formatCount, formatPercent } from './quantities.js';

const BAR_CELLS = 24;

interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

interface TimedFigures {
  readonly loadSeconds?: Spread;
  readonly promptTokensPerSecond?: Spread;
  readonly generatedTokensPerSecond?: Spread;
}

interface ShownEngine extends TimedFigures {
  readonly engine: string;
  readonly peakBytes: number;
}

interface MeasuredEngine extends ShownEngine {
  readonly description: string;
  readonly loadSeconds: Spread;
  readonly promptTokensPerSecond: Spread;
}

interface ShownModel {
  readonly name: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly bitsPerWeight: number;
  readonly demands: {
    readonly productOperations: number;
    readonly attentionOperations: number;
    readonly zeroOperations?: number;
    readonly weightBytes: number;
    readonly cacheBytes: number;
  };
  readonly engines: readonly MeasuredEngine[];
}

/** What the `bench` command found. */
export interface ShownBenchmark {
  readonly context: number;
  readonly windows: number;
  readonly generated: number;
  readonly repeats: number;
  /** The base first, where there is one. */
  readonly models: readonly ShownModel[];
  readonly comparison?: {
    readonly bytes: number;
    readonly operations: number;
    readonly bytesPerToken: number;
    readonly engines: readonly ShownEngine[];
  };
  readonly notices: readonly string[];
}

/** What a token takes, how fast each engine is, the two models beside each other, and bars to see it by. */
export function renderBenchmark(benchmark: ShownBenchmark): string {
  const { models, comparison, context, windows, generated, repeats, notices } = benchmark;
  const prompt = `${windows} ${windows === 1 ? 'window' : 'windows'} of ${context} tokens`;
  const isGenerated = models.some(({ engines }) => engines.some((each) => each.generatedTokensPerSecond !== undefined));
  const asked = isGenerated ? `${prompt}, then ${generated} tokens one by one` : prompt;
  return [
    table(models.map(demandRow), [
      'model',
      'parameters',
      'size',
      'bits',
      'operations/token',
      'by zeros',
      'bytes/token',
    ]),
    '',
    table(models.flatMap(engineRows), [
      'model',
      'engine',
      'load',
      'prompt tokens/s',
      'generated tokens/s',
      'peak memory',
    ]),
    ...(comparison === undefined ? [] : ['', ...ratioLines(benchmark)]),
    '',
    ...barLines(models),
    '',
    `medians of ${repeats} rounds (lowest to highest); a round is ${asked}`,
    ...descriptions(models),
    ...notices,
  ].join('\n');
}

function demandRow({ name, parameters, bytes, bitsPerWeight, demands }: ShownModel): string[] {
  const { productOperations, attentionOperations, zeroOperations, weightBytes, cacheBytes } = demands;
  return [
    name,
    formatCount(parameters),
    formatBytes(bytes),
    bitsPerWeight.toFixed(2),
    formatCount(productOperations + attentionOperations),
    zeroOperations === undefined ? '–' : formatPercent(zeroOperations),
    formatBytes(weightBytes + cacheBytes),
  ];
}

function engineRows({ name, engines }: ShownModel): string[][] {
  return engines.map((figures) => [
    name,
    figures.engine,
    spread(figures.loadSeconds, seconds),
    spread(figures.promptTokensPerSecond, speed),
    figures.generatedTokensPerSecond === undefined ? '–' : spread(figures.generatedTokensPerSecond, speed),
    formatBytes(figures.peakBytes),
  ]);
}

function ratioLines({ models, comparison }: ShownBenchmark): string[] {
  const [base, model] = models;
  const { bytes, operations, bytesPerToken, engines } = comparison!;
  const times = (ratio: number) => ratio.toFixed(2);
  const rows = engines.map((each) => [
    each.engine,
    each.loadSeconds === undefined ? '–' : spread(each.loadSeconds, times),
    each.promptTokensPerSecond === undefined ? '–' : spread(each.promptTokensPerSecond, times),
    each.generatedTokensPerSecond === undefined ? '–' : spread(each.generatedTokensPerSecond, times),
    times(each.peakBytes),
  ]);
  return [
    `${model!.name} over ${base!.name}: size ${times(bytes)}, operations a token ${times(operations)}, bytes a token ${times(bytesPerToken)}`,
    ...(rows.length === 0
      ? []
      : [table(rows, ['times', 'load', 'prompt tokens/s', 'generated tokens/s', 'peak memory'])]),
  ];
}

/** Speeds by the fastest of their kind. */
function barLines(models: readonly ShownModel[]): string[] {
  const kinds = [
    ['prompt', ({ promptTokensPerSecond }: MeasuredEngine) => promptTokensPerSecond.median],
    ['generated', ({ generatedTokensPerSecond }: MeasuredEngine) => generatedTokensPerSecond?.median],
  ] as const;
  const rows = kinds.flatMap(([kind, speedIn]) => {
    const found = models.flatMap(({ name, engines }) =>
      engines.flatMap((figures) => {
        const value = speedIn(figures);
        return value === undefined ? [] : [{ name, engine: figures.engine, value }];
      }),
    );
    const fastest = Math.max(...found.map(({ value }) => value));
    return found.map(({ name, engine, value }) => [kind, name, engine, bar(value / fastest, BAR_CELLS), speed(value)]);
  });
  return [table(rows)];
}

function descriptions(models: readonly ShownModel[]): string[] {
  const all = models.flatMap(({ engines }) => engines.map(({ engine, description }) => `${engine}: ${description}`));
  return [...new Set(all)];
}

function spread({ median, lowest, highest }: Spread, format: (value: number) => string): string {
  return `${format(median)} (${format(lowest)} to ${format(highest)})`;
}

function speed(tokensPerSecond: number): string {
  return formatCount(Number(tokensPerSecond.toPrecision(3)));
}

function seconds(value: number): string {
  return value < 1 ? `${(1000 * value).toPrecision(3)} ms` : `${value.toPrecision(3)} s`;
}
