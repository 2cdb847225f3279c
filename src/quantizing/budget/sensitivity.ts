import { stopIfAborted } from '../../errors.js';
import { collectEvidence, type Gram } from '../../evidence/index.js';
import { disposeBlock, type HiddenStates, type LinearInput, loadBlock } from '../../model/index.js';
import { calibrationStates, inputGroups, type SettleContext } from '../../pruning/index.js';
import type { Form, MatrixForm } from '../forms.js';
import { readWeight } from '../stored-order.js';
import { type OutputNorm, outputNorm, roundTrip, sampleRows } from './output-errors.js';

/** A linear's weight inside a block, and the forms to try. */
export interface Candidates {
  readonly matrix: MatrixForm;
  readonly forms: readonly Form[];
}

export interface SensitivityOptions {
  readonly search: 'absmax' | 'mse';
}

/**
 * Of each matrix, for each of its forms, what rounding it by itself does to its outputs: tr((W−Q) G (W−Q)ᵀ) / tr(W G Wᵀ), G the Gram
 * matrix of its inputs on the calibration text in the model as it is. From at most 128 rows of each. One block's weights are resident.
 * Deterministic.
 */
export async function relativeErrors(
  candidates: readonly Candidates[],
  { search }: SensitivityOptions,
  context: SettleContext,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const { model, report, signal } = context;
  const errors = new Map<string, readonly number[]>();
  const measure = async (some: readonly Candidates[], norm: OutputNorm) => {
    for (const { matrix, forms } of some) {
      stopIfAborted(signal);
      errors.set(matrix.weight, await errorsOf({ matrix, forms }, { norm, search }, context));
    }
  };
  const states = await calibrationStates(context);
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      const inBlock = candidates.filter(({ matrix }) => matrix.block === index);
      await throughBlock(index, { inBlock, states, measure }, context);
      report({ type: 'progress', stage: 'sensitivity', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return errors;
}

interface BlockPass {
  readonly inBlock: readonly Candidates[];
  readonly states: HiddenStates;
  readonly measure: (some: readonly Candidates[], norm: OutputNorm) => Promise<void>;
}

/** Measures one block's matrices under their inputs' Gram matrices, and moves the states on to the next block. */
async function throughBlock(
  index: number,
  { inBlock, states, measure }: BlockPass,
  { model, device, signal }: SettleContext,
): Promise<void> {
  const block = await loadBlock(model, index, device);
  const stop = signal && { signal };
  try {
    const groups = [...inputGroups(inBlock.flatMap(({ matrix }) => (matrix.spec ? [matrix.spec] : [])))];
    const passes: ReadonlySet<LinearInput>[] = groups.length > 0 ? groups : [new Set()];
    for (const [pass, inputs] of passes.entries()) {
      const options = { device, inputs, store: pass === passes.length - 1, ...stop };
      const evidence = await collectEvidence(block, states, new Set(['gram'] as const), options);
      try {
        for (const input of inputs) {
          const gram: Gram = evidence.takeGram(input);
          const norm = outputNorm(gram, device);
          await measure(
            inBlock.filter(({ matrix }) => matrix.spec?.input === input),
            norm,
          );
          norm.dispose();
        }
      } finally {
        evidence.dispose();
      }
    }
  } finally {
    disposeBlock(block);
  }
}

async function errorsOf(
  { matrix, forms }: Candidates,
  { norm, search }: { readonly norm: OutputNorm; readonly search: 'absmax' | 'mse' },
  { model }: SettleContext,
): Promise<readonly number[]> {
  const { spec, rows, columns } = matrix;
  const values = await readWeight(model.checkpoint, spec!);
  const sample = sampleRows({ values, rows, columns });
  const whole = await norm.square(sample);
  const errors: number[] = [];
  for (const form of forms) {
    const rounded = roundTrip(sample, form, search);
    const difference = sample.values.map((value, i) => value - rounded[i]!);
    const error = await norm.square({ ...sample, values: difference });
    errors.push(whole === 0 ? 0 : error / whole);
  }
  return errors;
}
