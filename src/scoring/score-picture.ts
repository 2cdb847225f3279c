import {
  type Chart,
  density,
  heatmap,
  histograms,
  legible,
  type PageTable,
  type Picture,
  type Section,
} from '../pictures/index.js';
import type { MetricComparison, ScorePairs } from './comparison.js';
import type { LinearSummary } from './linear-summary.js';
import type { ScoreHeader } from './score-file.js';
import type { ModelScores } from './score-run.js';
import type { ThresholdCounts } from './threshold.js';

/** Rows of a heatmap; a model of an unknown architecture may have as many kinds of matrices as it has matrices. */
const MAX_ROWS = 64;

/** A histogram panel a block stays readable up to here; models with more blocks show every second, third and so on. */
const MAX_PANELS = 48;

/** Draws scores: a heatmap and histograms for each metric, and metric against metric. The same scores give the same bytes. */
export async function scorePicture(
  header: ScoreHeader,
  scores: ModelScores,
  threshold?: ThresholdCounts,
): Promise<Picture> {
  const metrics = [header.metric, ...(header.compare ?? [])];
  const sections: Section[] = [];
  for (const metric of metrics) {
    const summaries = scores.summaries.filter((summary) => summary.metric === metric);
    const tables = metric === header.metric && threshold !== undefined ? [thresholdTable(threshold)] : [];
    sections.push(await metricSection(metric, summaries, tables));
  }
  for (const [i, comparison] of scores.comparisons.entries()) {
    sections.push(await comparisonSection(comparison, scores.pairs[i]!));
  }
  const text =
    header.calibration === undefined
      ? 'Scores of the linear weights inside the blocks, by the weights alone. A larger score means keep.'
      : `Scores of the linear weights inside the blocks, with ${header.calibration.windows} windows of ${header.calibration.context} tokens from ${legible(header.calibration.file)}. A larger score means keep.`;
  return { title: `${metrics.join(', ')}: scores of ${legible(header.model)}`, text, sections };
}

async function metricSection(
  metric: string,
  summaries: readonly LinearSummary[],
  tables: readonly PageTable[],
): Promise<Section> {
  const charts = [await layerHeatmap(metric, summaries), await blockHistograms(metric, summaries)];
  return { heading: metric, charts, tables };
}

/** Blocks across, roles down; the mean over a block's experts where there are several of a role. Too many roles: the first. */
function layerHeatmap(metric: string, summaries: readonly LinearSummary[]): Promise<Chart> {
  const blocks = [...new Set(summaries.map(({ block }) => block))].sort((a, b) => a - b);
  const all = [...new Set(summaries.map(kindOf))];
  const kinds = all.slice(0, MAX_ROWS);
  const cells = blocks.flatMap((block, column) =>
    kinds.flatMap((kind, row) => {
      const found = summaries.filter((summary) => summary.block === block && kindOf(summary) === kind);
      const count = found.reduce((sum, { all }) => sum + all.count, 0);
      const total = found.reduce((sum, { all }) => sum + all.mean * all.count, 0);
      return count === 0 ? [] : [{ column, row, value: total / count }];
    }),
  );
  const extreme = (sign: 1 | -1) =>
    summaries.reduce((best, summary) => (sign * (summary.all.mean - best.all.mean) > 0 ? summary : best));
  const [highest, lowest] = [extreme(1), extreme(-1)];
  const shown = kinds.length < all.length ? `The first ${kinds.length} of ${all.length}` : `${kinds.length}`;
  return heatmap({
    title: `Mean ${metric} score of each layer`,
    description: `${shown} kinds of weights in ${blocks.length} blocks; the largest mean, ${highest.all.mean.toPrecision(3)}, is that of ${legible(highest.name)}, the smallest, ${lowest.all.mean.toPrecision(3)}, that of ${legible(lowest.name)}.`,
    columns: { title: 'block', names: blocks.map(String) },
    rows: { title: 'weight', names: kinds },
    cells,
    unit: 'mean score',
    logarithmic: true,
  });
}

/** The role of a weight; its name within its block, where the architecture is unknown. */
function kindOf({ role, name }: LinearSummary): string {
  return role === 'weight' ? name.replace(/^.*?\.\d+\./, '') : role;
}

function blockHistograms(metric: string, summaries: readonly LinearSummary[]): Promise<Chart> {
  const blocks = [...new Set(summaries.map(({ block }) => block))].sort((a, b) => a - b);
  const every = Math.ceil(blocks.length / MAX_PANELS);
  const panels = blocks
    .filter((_, index) => index % every === 0)
    .map((block) => ({
      name: `block ${block}`,
      bins: summedBins(summaries.filter((summary) => summary.block === block)),
    }));
  const left = every === 1 ? '' : ` One block in ${every} is shown.`;
  return histograms({
    title: `How the ${metric} scores of each block are distributed`,
    description: `${panels.length} histograms over powers of two, all with the same axes.${left}`,
    unit: `${metric} score`,
    panels,
  });
}

function summedBins(summaries: readonly LinearSummary[]) {
  const bins = new Map<number, { from: number; to: number; count: number }>();
  for (const { from, to, count } of summaries.flatMap(({ all }) => all.histogram)) {
    bins.set(from, { from, to, count: (bins.get(from)?.count ?? 0) + count });
  }
  return [...bins.values()].sort((a, b) => a.from - b.from);
}

async function comparisonSection(comparison: MetricComparison, pairs: ScorePairs): Promise<Section> {
  const [first, second] = comparison.metrics;
  const { all, sparsity, overlapByChance } = comparison;
  const text = `Spearman's rank correlation ${figure(all.rankCorrelation)} over ${all.sampled} weights. At sparsity ${sparsity} the weights that both would remove are ${figure(all.overlap)} of those that either would (by chance ${figure(overlapByChance)}).`;
  const chart = await density({
    title: `${second} against ${first}`,
    description: `Each cell counts weights of a sample of ${pairs.first.length}. ${text}`,
    x: `${first} score`,
    y: `${second} score`,
    pairs: { x: pairs.first, y: pairs.second },
  });
  const table: PageTable = {
    caption: `${first} and ${second}, layer by layer`,
    header: ['layer', 'rank correlation', 'weights ranked', 'overlap'],
    rows: comparison.matrices.map(({ name, rankCorrelation, sampled, overlap }) => [
      legible(name),
      figure(rankCorrelation),
      String(sampled),
      figure(overlap),
    ]),
  };
  return { heading: `${first} and ${second}`, text, charts: [chart], tables: [table] };
}

function thresholdTable({ keepAbove, matrices, kept, removed, sparsity }: ThresholdCounts): PageTable {
  const row = (name: string, counts: { kept: number; removed: number; sparsity: number }) => [
    name,
    String(counts.kept),
    String(counts.removed),
    `${(100 * counts.sparsity).toFixed(1)} %`,
  ];
  return {
    caption: `What stays with a score above ${keepAbove}`,
    header: ['layer', 'kept', 'removed', 'sparsity'],
    rows: [...matrices.map((matrix) => row(legible(matrix.name), matrix)), row('all', { kept, removed, sparsity })],
  };
}

function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(3);
}
