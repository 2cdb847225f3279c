import { stopIfAborted } from '../errors.js';
import type { ImportanceMetric } from '../importance/index.js';
import { disposeBlock, type HiddenStates, type LinearSpec, loadBlock, runBlock } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { type GradientEvidence, gradientEvidence } from './gradient-evidence.js';
import { inputEvidence, readsInputs } from './input-evidence.js';
import { type LinearEvidence, scoreMatrix, scoreStored } from './score-matrix.js';

export type ScoreContext = Omit<EditContext, 'target' | 'writer' | 'marks' | 'spared'>;

/** One linear weight's scores by each metric. */
export interface ScoredLinear {
  readonly block: number;
  readonly spec: LinearSpec;
  /** [rows, columns], by the metric's name. */
  readonly scores: ReadonlyMap<string, MatrixScores>;
}

/** Metrics by name. */
export type NamedMetrics = ReadonlyMap<string, ImportanceMetric>;

/**
 * Scores every linear weight inside the blocks of a model as it is, and yields them in order, one linear's scores at a time. What
 * metrics look at comes from the calibration windows through the unchanged model, once for all metrics; one block's weights are
 * resident.
 */
export async function* scoreModel(metrics: NamedMetrics, context: ScoreContext): AsyncGenerator<ScoredLinear> {
  const { model, report, signal } = context;
  const needs = [...metrics.values()].flatMap((metric) => metric.needs);
  const gradients = await gradientEvidence(needs, context);
  const states = readsInputs(needs) ? await calibrationStates(context) : undefined;
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index++) {
      stopIfAborted(signal);
      if (states === undefined) yield* scoreStoredBlock({ metrics, index, gradients }, context);
      else yield* scoreRunBlock({ metrics, index, gradients, states }, context);
      report({ type: 'progress', stage: 'score', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
    await gradients?.close();
  }
}

interface BlockToScore {
  readonly metrics: NamedMetrics;
  readonly index: number;
  readonly gradients: GradientEvidence | undefined;
}

async function* scoreStoredBlock(
  { metrics, index, gradients }: BlockToScore,
  { model, device }: ScoreContext,
): AsyncGenerator<ScoredLinear> {
  const { checkpoint } = model;
  for (const spec of model.decoder.blocks[index]!.linears) {
    const evidence = { weights: await gradients?.of(spec.weight) };
    const scores = await byEach(metrics, (metric) => scoreStored(metric, spec, { checkpoint, evidence }, device));
    yield { block: index, spec, scores };
  }
}

async function* scoreRunBlock(
  { metrics, index, gradients, states }: BlockToScore & { readonly states: HiddenStates },
  context: ScoreContext,
): AsyncGenerator<ScoredLinear> {
  const { model, device, signal } = context;
  const block = await loadBlock(model, index, device);
  try {
    const needs = [...metrics.values()].flatMap((metric) => metric.needs);
    const inputs = await inputEvidence(needs, block, states, context);
    for (const spec of block.spec.linears) {
      const { weight } = block.linears.get(spec.weight)!;
      const evidence: LinearEvidence = {
        columns: inputs.get(spec.input),
        weights: await gradients?.of(spec.weight),
      };
      const scores = await byEach(metrics, (metric) => scoreMatrix(metric, spec, { weight, evidence }, device));
      yield { block: index, spec, scores };
    }
    // The next block's inputs come from this one as it is.
    if (index + 1 < model.decoder.blocks.length) {
      await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
    }
  } finally {
    disposeBlock(block);
  }
}

async function byEach(
  metrics: NamedMetrics,
  score: (metric: ImportanceMetric) => Promise<MatrixScores>,
): Promise<ReadonlyMap<string, MatrixScores>> {
  const scores = new Map<string, MatrixScores>();
  for (const [name, metric] of metrics) scores.set(name, await score(metric));
  return scores;
}
