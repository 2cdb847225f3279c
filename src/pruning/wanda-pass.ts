import { stopIfAborted } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import { type ImportanceMetric, metrics } from '../importance/index.js';
import {
  disposeBlock,
  type HiddenStates,
  type LinearSpec,
  type LoadedBlock,
  loadBlock,
  runBlock,
} from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { prunableLinears } from './plan-masks.js';
import { scoreMatrix } from './score-matrix.js';

/** One block on its way through a pass. */
export interface ScoredBlock {
  readonly block: LoadedBlock;
  /** What goes into it. */
  readonly states: HiddenStates;
  readonly linears: readonly LinearSpec[];
  /** Wanda's scores of one of its linears. */
  score(spec: LinearSpec): Promise<MatrixScores>;
}

/**
 * Calls `use` with each block of the model as it is, in order, and Wanda's scores of it. Layers that are compared with each other
 * are always measured by Wanda, whatever metric or solver chooses the weights later.
 */
export async function passWanda(context: EditContext, use: (scored: ScoredBlock) => Promise<void>): Promise<void> {
  const { model, device, signal, report } = context;
  const metric = await metrics.load('wanda');
  const states = await calibrationStates(context);
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const block = await loadBlock(model, index, device);
      try {
        const linears = prunableLinears(model, index);
        await withScores({ block, states, linears, metric }, context, use);
        if (index + 1 < total) await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
      } finally {
        disposeBlock(block);
      }
      report({ type: 'progress', stage: 'allocate', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
}

async function withScores(
  { metric, ...at }: Omit<ScoredBlock, 'score'> & { readonly metric: ImportanceMetric },
  { device, signal }: EditContext,
  use: (scored: ScoredBlock) => Promise<void>,
): Promise<void> {
  const { block, states } = at;
  const evidence = await collectEvidence(block, states, new Set(['norms'] as const), {
    device,
    ...(signal && { signal }),
  });
  const score = async (spec: LinearSpec) => {
    const inputNorms = (await device.read(evidence.normsOf(spec.input))) as Float32Array;
    const { weight } = block.linears.get(spec.weight)!;
    return scoreMatrix(metric, spec, { weight, evidence: { columns: { inputNorms } } }, device);
  };
  try {
    await use({ ...at, score });
  } finally {
    evidence.dispose();
  }
}
