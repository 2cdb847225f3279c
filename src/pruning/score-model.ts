import { dispose } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import { headGroups, type ImportanceMetric, MatrixAggregate, type MatrixSummary } from '../importance/index.js';
import { disposeBlock, type HiddenStates, loadBlock, runBlock } from '../model/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { inputNorms } from './input-norms.js';
import { scoreMatrix } from './score-matrix.js';

export type ScoreContext = Omit<EditContext, 'target' | 'writer'>;

export interface LinearSummary extends MatrixSummary {
  readonly block: number;
  readonly role: string;
}

/**
 * Scores every linear weight inside the blocks of a model as it is, and yields a summary of each, in order. Activations, for
 * metrics that need them, come from the calibration windows through the unchanged model; one block's weights are resident.
 */
export async function* scoreModel(metric: ImportanceMetric, context: ScoreContext): AsyncGenerator<LinearSummary> {
  const { model, report, signal } = context;
  const states = metric.needs === 'weights' ? undefined : await calibrationStates(context);
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index++) {
      stopIfAborted(signal);
      yield* await scoreBlock({ metric, index, states }, context);
      report({ type: 'progress', stage: 'score', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
  }
}

async function scoreBlock(
  at: { readonly metric: ImportanceMetric; readonly index: number; readonly states: HiddenStates | undefined },
  context: ScoreContext,
): Promise<LinearSummary[]> {
  const { model, device, signal } = context;
  const block = await loadBlock(model, at.index, device);
  const norms = at.states && (await inputNorms(block, at.states, { device, ...(signal && { signal }) }));
  try {
    const summaries: LinearSummary[] = [];
    for (const spec of block.spec.linears) {
      const input = norms?.get(spec.input);
      const operands = { weight: block.linears[spec.role].weight, ...(input && { norms: input }) };
      const { name, values, rows, columns } = await scoreMatrix(at.metric, spec, operands, device);
      const aggregate = new MatrixAggregate({ name, rows, columns }, headGroups(spec.role, model.decoder.headDim));
      aggregate.add(values);
      summaries.push({ ...aggregate.finish(), block: at.index, role: spec.role });
    }
    // The next block's inputs come from this one as it is.
    if (at.states !== undefined) await runBlock(block, at.states, device, { store: true, ...(signal && { signal }) });
    return summaries;
  } finally {
    dispose([...(norms?.values() ?? [])]);
    disposeBlock(block);
  }
}
