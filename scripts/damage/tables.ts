import type { MeasuredRun } from './measure.js';

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const table = (header: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n');
const percent = (part: number) => `${(100 * part).toFixed(Math.abs(part) < 0.1 ? 2 : 1)} %`;

/** What errors at the output come to: each wave of each run, in the order of the errors. */
export function harmTable(runs: readonly MeasuredRun[]): string {
  const waves = runs.flatMap(({ model, metric, waves }) => waves.map((wave) => ({ model, metric, ...wave })));
  waves.sort((left, right) => left.error - right.error);
  return table(
    ['error at the output', 'perplexity', 'KL, nats', 'sparsity', 'model', 'metric'],
    waves.map(({ error, perplexityRatio, kl, sparsity, model, metric }) => [
      percent(error),
      `× ${perplexityRatio.toFixed(3)}`,
      kl.toFixed(4),
      percent(sparsity),
      model,
      metric,
    ]),
  );
}

/** What was foretold of the last block's output and of the divergence, and what came. */
export function foretoldTable(runs: readonly MeasuredRun[]): string {
  const rows = runs.flatMap(({ model, metric, waves }) =>
    waves.flatMap(({ sparsity, foretold }) => {
      const [last, kl] = [foretold?.blocks.at(-1), foretold?.kl];
      if (last === undefined) return [];
      const error = `${percent(last.expected)} (${percent(last.low)} to ${percent(last.high)})`;
      const divergence =
        kl === undefined
          ? ['', '']
          : [`${kl.expected.toFixed(4)} (${kl.low.toFixed(4)} to ${kl.high.toFixed(4)})`, kl.actual.toFixed(4)];
      return [
        [model, metric, percent(sparsity), String(foretold!.learntFrom), error, percent(last.actual), ...divergence],
      ];
    }),
  );
  const header = ['model', 'metric', 'sparsity', 'waves before', 'error foretold', 'came', 'KL foretold', 'came'];
  return `${table(header, rows)}\n\n${coverageOf(runs)}`;
}

/** How often what came lay in the interval, over all blocks and waves. */
function coverageOf(runs: readonly MeasuredRun[]): string {
  const foretold = runs.flatMap(({ waves }) =>
    waves.flatMap((wave) => (wave.foretold === undefined ? [] : [wave.foretold])),
  );
  const inside = (figures: readonly { low: number; high: number; actual: number }[]) => {
    const found = figures.filter(({ low, high, actual }) => actual >= low && actual <= high).length;
    return `${found} of ${figures.length} (${((100 * found) / figures.length).toFixed(0)} %)`;
  };
  const errors = foretold.flatMap(({ blocks }) => blocks);
  const divergences = foretold.flatMap(({ kl }) => (kl === undefined ? [] : [kl]));
  const off = errors.map(({ expected, actual }) => Math.abs(Math.log(expected / actual))).sort((a, b) => a - b);
  const median = Math.exp(off[Math.floor(off.length / 2)]!) - 1;
  return `Intervals are to hold nine times in ten: of the blocks' errors ${inside(errors)} lay in theirs, of the divergences ${inside(divergences)}. The expected error was off by ${percent(median)} (median).`;
}

/** How fast errors grow: the slopes of ln error and ln KL over ln sparsity, by least squares over a run's waves. */
export function exponentTable(runs: readonly MeasuredRun[]): string {
  const slope = (points: readonly (readonly [number, number])[]) => {
    const mean = (index: 0 | 1) => points.reduce((sum, point) => sum + point[index], 0) / points.length;
    const [x, y] = [mean(0), mean(1)];
    const products = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
    return products / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  };
  const rows = runs.map(({ model, metric, waves }) => {
    const of = (value: (wave: (typeof waves)[number]) => number) =>
      slope(waves.map((wave) => [Math.log(wave.sparsity), Math.log(value(wave))] as const));
    return [model, metric, of(({ error }) => error).toFixed(2), of(({ kl }) => kl).toFixed(2)];
  });
  return table(['model', 'metric', 'error ~ sparsity to the', 'KL ~ sparsity to the'], rows);
}

/** What the estimate of an error's way to the output is worth. */
export function carriedTable(runs: readonly MeasuredRun[]): string {
  const rows = runs.flatMap(({ model, metric, carried: { sparsity, blocks } }) =>
    blocks.map(({ block, estimated, measured }) => [
      model,
      metric,
      percent(sparsity),
      String(block),
      percent(estimated),
      percent(measured),
      (estimated / measured).toFixed(2),
    ]),
  );
  return table(['model', 'metric', 'sparsity', 'block', 'estimated', 'measured', 'ratio'], rows);
}
