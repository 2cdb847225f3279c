import { dispose } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import {
  headGroups,
  type ImportanceMetric,
  MatrixAggregate,
  type MatrixSummary,
  needsText,
} from '../importance/index.js';
import { disposeBlock, type HiddenStates, type LinearSpec, loadBlock, runBlock } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { inputNorms } from './input-norms.js';
import { scoreMatrix, scoreStored } from './score-matrix.js';

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
  const states = needsText(metric) ? await calibrationStates(context) : undefined;
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
  if (at.states === undefined) {
    const { checkpoint } = model;
    return summarizeBlock(at.index, context, (spec) => scoreStored(at.metric, spec, { checkpoint }, device));
  }
  const block = await loadBlock(model, at.index, device);
  const stop = signal && { signal };
  try {
    const norms = await inputNorms(block, at.states, { device, ...stop });
    try {
      const summaries = await summarizeBlock(at.index, context, (spec) => {
        const operands = { weight: block.linears.get(spec.weight)!.weight, norms: norms.get(spec.input)! };
        return scoreMatrix(at.metric, spec, operands, device);
      });
      // The next block's inputs come from this one as it is.
      await runBlock(block, at.states, device, { store: true, ...stop });
      return summaries;
    } finally {
      dispose([...norms.values()]);
    }
  } finally {
    disposeBlock(block);
  }
}

async function summarizeBlock(
  index: number,
  { model }: ScoreContext,
  score: (spec: LinearSpec) => Promise<MatrixScores>,
): Promise<LinearSummary[]> {
  const summaries: LinearSummary[] = [];
  for (const spec of model.decoder.blocks[index]!.linears) {
    const { name, values, rows, columns } = await score(spec);
    const aggregate = new MatrixAggregate({ name, rows, columns }, headGroups(spec.role, model.decoder.headDim));
    aggregate.add(values);
    summaries.push({ ...aggregate.finish(), block: index, role: spec.role });
  }
  return summaries;
}
