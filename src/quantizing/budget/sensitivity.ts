import { stopIfAborted } from '../../errors.js';
import { collectEvidence, type Gram } from '../../evidence/index.js';
import { disposeBlock, type HiddenStates, type LinearInput, loadBlock } from '../../model/index.js';
import { calibrationStates, inputGroups, type SettleContext } from '../../pruning/index.js';
import type { Form, MatrixForm } from '../forms.js';
import { readWeight } from '../stored-order.js';
import { gptqGain, gptqInputs, minus } from './gptq-gain.js';
import { type OutputNorm, outputNorm, type Rows, roundTrip, sampleRows } from './output-errors.js';

/** A matrix, and the forms to try. */
export interface Candidates {
  readonly matrix: MatrixForm;
  readonly forms: readonly Form[];
}

/** Matrices that get the same form, and the place of the one that is tried. */
export interface TriedGroup {
  readonly members: readonly Candidates[];
  readonly place: number;
}

export interface SensitivityOptions {
  readonly search: 'absmax' | 'mse';
  /** How the codes will be found; only what `gptq` makes up for is foreseen, of others as of rounding to nearest. */
  readonly algorithm?: string | undefined;
}

/** What rounding a matrix by itself does to its outputs. */
export interface Sensitivity {
  /** Of each form, the outputs' squared error over their square, with each weight rounded to nearest. */
  readonly errors: readonly number[];
  /** What the algorithm leaves of that, at the form that is tried. */
  readonly left: number;
}

/**
 * Of each matrix, for each of its forms, what rounding it by itself does to its outputs: tr((W−Q) G (W−Q)ᵀ) / tr(W G Wᵀ), G the Gram
 * matrix of its inputs on the calibration text in the model as it is. From some rows of each. One block's weights are resident.
 * Deterministic.
 */
export async function sensitivities(
  groups: readonly TriedGroup[],
  options: SensitivityOptions,
  context: SettleContext,
): Promise<ReadonlyMap<string, Sensitivity>> {
  const { model, report } = context;
  const found = new Map<string, Sensitivity>();
  const tried = groups.flatMap(({ members, place }) => members.map((member) => ({ ...member, place })));
  const states = await calibrationStates(context);
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      const inBlock = tried.filter(({ matrix }) => matrix.block === index);
      await throughBlock(index, { inBlock, states, found, options }, context);
      report({ type: 'progress', stage: 'sensitivity', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return found;
}

type TriedMatrix = Candidates & Pick<TriedGroup, 'place'>;

interface BlockPass {
  readonly inBlock: readonly TriedMatrix[];
  readonly states: HiddenStates;
  readonly options: SensitivityOptions;
  /** Takes what is found, by weight. */
  readonly found: Map<string, Sensitivity>;
}

/** Measures one block's matrices under their inputs' Gram matrices, and moves the states on to the next block. */
async function throughBlock(index: number, pass: BlockPass, context: SettleContext): Promise<void> {
  const { model, device, signal } = context;
  const { inBlock, states } = pass;
  const block = await loadBlock(model, index, device);
  const stop = signal && { signal };
  try {
    const groups = [...inputGroups(inBlock.flatMap(({ matrix }) => (matrix.spec ? [matrix.spec] : [])))];
    const passes: ReadonlySet<LinearInput>[] = groups.length > 0 ? groups : [new Set()];
    for (const [number, inputs] of passes.entries()) {
      const options = { device, inputs, store: number === passes.length - 1, ...stop };
      const evidence = await collectEvidence(block, states, new Set(['gram'] as const), options);
      try {
        for (const input of inputs) await behindInput(evidence.takeGram(input), input, pass, context);
      } finally {
        evidence.dispose();
      }
    }
  } finally {
    disposeBlock(block);
  }
}

/** Measures the matrices that read one input. */
async function behindInput(
  gram: Gram,
  input: LinearInput,
  { inBlock, options, found }: BlockPass,
  context: SettleContext,
): Promise<void> {
  const reading = inBlock.filter(({ matrix }) => matrix.spec?.input === input);
  const { search, algorithm } = options;
  const names = reading.map(({ matrix }) => matrix.weight).join(', ');
  const inputs = algorithm === 'gptq' && gram.tokens > 0 ? await gptqInputs(gram, names, context) : undefined;
  const norm = outputNorm(gram, context.device);
  try {
    for (const { matrix, forms, place } of reading) {
      stopIfAborted(context.signal);
      const { spec, rows, columns } = matrix;
      const sample = sampleRows({ values: await readWeight(context.model.checkpoint, spec!), rows, columns });
      const errors = await errorsOf(sample, forms, { norm, search });
      const left = inputs === undefined ? 1 : await gptqGain(sample, forms[place]!, { inputs, norm, search });
      found.set(matrix.weight, { errors, left });
    }
  } finally {
    norm.dispose();
  }
}

async function errorsOf(
  sample: Rows,
  forms: readonly Form[],
  { norm, search }: { readonly norm: OutputNorm; readonly search: 'absmax' | 'mse' },
): Promise<readonly number[]> {
  const whole = await norm.square(sample);
  const errors: number[] = [];
  for (const form of forms) {
    const error = await norm.square(minus(sample, roundTrip(sample, form, search)));
    errors.push(whole === 0 ? 0 : error / whole);
  }
  return errors;
}
