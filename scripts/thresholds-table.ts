import { bootstrapIntervals } from '../src/evaluation/index.js';
import { divisionsOf, MODELS, PATTERNS, type PatternName, SEEDS, type ThresholdRow } from './thresholds-results.js';

/** The perplexity of one division against another on the same windows, over all seeds that both have. */
export interface PairedRatio {
  readonly ratio: number;
  readonly interval: readonly [number, number];
  /** Seeds by which the first is better, of all. */
  readonly better: number;
  readonly seeds: number;
}

/** docs/thresholds-table.md, and what is not as it has to be. */
export function renderTable(rows: readonly ThresholdRow[]): { readonly markdown: string; readonly failures: string[] } {
  const failures: string[] = [];
  const lines = MODELS.flatMap(({ model }) =>
    PATTERNS.flatMap((pattern) => {
      const own = rows.filter((row) => row.model === model && row.pattern === pattern);
      failures.push(...failuresOf(own, model, pattern));
      return divisionsOf(pattern)
        .concat(own.some(({ thresholds }) => thresholds === 'evolve') ? ['evolve'] : [])
        .flatMap((thresholds) => lineOf(own, thresholds) ?? []);
    }),
  );
  const commits = [...new Set(rows.map(({ commit }) => commit))].sort().join(', ');
  const markdown = `# Thresholds of clusters against the same sparsity everywhere, and OWL

Made by \`npm run compare:thresholds\` at ${commits}; every row with its losses window by window is in
[results/thresholds.json](results/thresholds.json). Each seed draws its own 128 calibration windows of 256 tokens from the
calibration text, and seeds the search; weights are chosen by Wanda, channels by the fold. The first 128 windows of the evaluation
text are scored; nothing was tuned on them. The search is the default one; on novels-5m it has 2 clusters a matrix and 12 generations. Rows of one model and pattern have exactly the same number of weights gone. The ratios are of
perplexities, all seeds together, with 95 % intervals of a bootstrap over windows (both sides on the same draws, 1000 of them): below 1
the division is better than the one it is held against.

| checkpoint | removed | \`--thresholds\` | perplexity, mean of seeds (lowest to highest) | accuracy | against uniform | against OWL | seeds better than OWL, or uniform | weights gone | CPU s |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|
${lines.join('\n')}

Mean over seeds: of the logarithm. With one width for all feed-forward networks there is nothing that OWL could divide of channels.
`;
  return { markdown, failures };
}

function lineOf(own: readonly ThresholdRow[], thresholds: string): string | undefined {
  const found = own.filter((row) => row.thresholds === thresholds);
  if (found.length === 0) return undefined;
  const perplexities = found.map(({ perplexity }) => perplexity);
  const mean = Math.exp(meanOf(perplexities.map(Math.log)));
  const [uniform, owl] = ['uniform', 'owl'].map((other) =>
    other === thresholds ? undefined : paired(own, thresholds, other),
  );
  const rival = owl ?? uniform;
  const cells = [
    found[0]!.model,
    found[0]!.pattern,
    thresholds,
    `${mean.toFixed(2)} (${Math.min(...perplexities).toFixed(2)} to ${Math.max(...perplexities).toFixed(2)})`,
    `${(100 * meanOf(found.map(({ accuracy }) => accuracy))).toFixed(2)} %`,
    thresholds === 'uniform' ? '' : ratioText(uniform),
    thresholds === 'uniform' || thresholds === 'owl' ? '' : ratioText(owl),
    rival === undefined || thresholds === 'uniform' ? '' : `${rival.better} of ${rival.seeds}`,
    `${found[0]!.gone} of ${found[0]!.of}`,
    Math.round(meanOf(found.map(({ cpuSeconds }) => cpuSeconds))),
  ];
  return `| ${cells.join(' | ')} |`;
}

function ratioText(found: PairedRatio | undefined): string {
  if (found === undefined) return '';
  const [low, high] = found.interval;
  return `${found.ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

/** Compares two divisions on the windows that both were measured on; undefined where no seed has both. */
export function paired(own: readonly ThresholdRow[], thresholds: string, other: string): PairedRatio | undefined {
  const of = (name: string, seed: number) => own.find((row) => row.thresholds === name && row.seed === seed);
  const pairs = SEEDS.flatMap((seed) => {
    const [now, base] = [of(thresholds, seed), of(other, seed)];
    return now === undefined || base === undefined ? [] : [{ now, base }];
  });
  if (pairs.length === 0) return undefined;
  const windows = pairs[0]!.now.losses.length;
  const columns = [
    Float64Array.from({ length: windows }, (_, i) => pairs.reduce((sum, { now }) => sum + now.tokens[i]!, 0)),
    Float64Array.from({ length: windows }, (_, i) =>
      pairs.reduce((sum, { now, base }) => sum + now.losses[i]! - base.losses[i]!, 0),
    ),
  ];
  const ratio = ([tokens, increase]: readonly number[]) => Math.exp(increase! / tokens!);
  const { ratio: interval } = bootstrapIntervals(columns, { ratio }, { seed: 0 });
  return {
    ratio: ratio(columns.map((column) => column.reduce((sum, value) => sum + value, 0))),
    interval: interval ?? [Number.NaN, Number.NaN],
    better: pairs.filter(({ now, base }) => now.perplexity < base.perplexity).length,
    seeds: pairs.length,
  };
}

/** At 70 % thresholds of clusters must win clearly over uniform, and nowhere may sparsities differ. */
function failuresOf(own: readonly ThresholdRow[], model: string, pattern: PatternName): string[] {
  const failures: string[] = [];
  if (new Set(own.map(({ gone }) => gone)).size > 1) failures.push(`${model} ${pattern}: rows of different sparsities`);
  const found = paired(own, 'cluster', 'uniform');
  if (pattern === '70%' && found !== undefined && found.interval[1] >= 1) {
    failures.push(`${model} ${pattern}: no clear win over the uniform division (${ratioText(found)})`);
  }
  return failures;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
