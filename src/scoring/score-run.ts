import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Report, silent } from '../events.js';
import type { ImportanceMetric } from '../importance/index.js';
import { DEFAULT_MEMORY_BYTES, type Model } from '../model/index.js';
import { type ScoreContext, scoreModel } from '../pruning/index.js';
import { parsePattern } from '../sparsity/index.js';
import { type Device, type DeviceChoice, openDevice } from '../tensor/index.js';
import {
  ComparisonBuilder,
  type ComparisonOptions,
  type MetricComparison,
  removals,
  type ScorePairs,
} from './comparison.js';
import { type LinearSummary, summarize } from './linear-summary.js';

/** How to score: with what, and within which bounds. */
export interface RunOptions {
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly keepAbove?: number | undefined;
  /** What two metrics are compared at. */
  readonly sparsity: number;
  readonly device?: DeviceChoice | undefined;
  readonly threads?: number | undefined;
  readonly memoryBytes?: number | undefined;
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ModelScores {
  /** Matrix by matrix, of each the metrics in their order. */
  readonly summaries: readonly LinearSummary[];
  /** The first metric with each of the others. */
  readonly comparisons: readonly MetricComparison[];
  readonly pairs: readonly ScorePairs[];
}

/** Scores a model by each metric; the first is compared with the others. Opens and closes the device. */
export async function runScores(
  metrics: ReadonlyMap<string, ImportanceMetric>,
  model: Model,
  options: RunOptions,
): Promise<ModelScores> {
  const { device: choice = 'auto', threads, report = silent } = options;
  const device = await openDevice(choice, threads === undefined ? {} : { threads });
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-score-'));
  try {
    for (const message of device.notices) report({ type: 'notice', message });
    return await collect(metrics, contextOf(model, device, { ...options, spillFolder }), options);
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
    await device.close();
  }
}

function contextOf(model: Model, device: Device, options: RunOptions & { readonly spillFolder: string }): ScoreContext {
  const { calibration, memoryBytes = DEFAULT_MEMORY_BYTES, spillFolder, report = silent, signal } = options;
  return { model, device, calibration, memoryBytes, spillFolder, report, ...(signal && { signal }) };
}

async function collect(
  metrics: ReadonlyMap<string, ImportanceMetric>,
  context: ScoreContext,
  { keepAbove, sparsity }: RunOptions,
): Promise<ModelScores> {
  const { blocks } = context.model.decoder;
  const weights = blocks.flatMap((block) => block.linears).reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const pattern = await parsePattern('unstructured');
  if (pattern.kind !== 'free') throw new Error('unstructured leaves the sparsity open');
  const comparing: ComparisonOptions = { sparsity, pattern, weights };
  const [first = '', ...others] = metrics.keys();
  const builders = others.map((other) => new ComparisonBuilder([first, other], comparing));
  const summaries: LinearSummary[] = [];
  for await (const linear of scoreModel(metrics, context)) {
    summaries.push(...summarize(linear, { headDim: blocks[linear.block]!.headDim, keepAbove }));
    if (builders.length === 0) continue;
    const masks = removals(linear, metrics, comparing);
    for (const builder of builders) builder.add(linear, masks);
  }
  return {
    summaries,
    comparisons: builders.map((builder) => builder.finish()),
    pairs: builders.map((builder) => builder.pairs),
  };
}
