import { BirdboneError, stopIfAborted } from '../errors.js';
import { collectEvidence, type Gram } from '../evidence/index.js';
import { type LinearInput, type LinearSpec, replaceWeight } from '../model/index.js';
import { inputGroups } from '../pruning/index.js';
import type { QuantizedMatrix } from '../quantization/index.js';
import { GPTQ_COST, type GptqInputs, prepareGptq, type Removal, gptq as sweep } from '../solvers/index.js';
import { keptCount } from '../sparsity/index.js';
import { freeMemory } from '../tensor/index.js';
import { MatrixGrid } from './matrix-grid.js';
import type {
  BlockText,
  MatrixReport,
  QuantizeContext,
  QuantizedSink,
  Quantizer,
  QuantizerOptions,
  QuantizeTarget,
} from './quantizer.js';
import { refuseSchemes } from './refuse-schemes.js';
import { readWeight } from './stored-order.js';

/**
 * GPTQ: each column's rounding error is made up for by the columns to come, as far as the inputs' correlation allows. With
 * `actOrder` (the default) the columns with the largest inputs come first, under scales fitted to the weights as they were ("static
 * groups"), so that the stored layout is the ordinary one; without it scales are fitted group by group to corrected weights. With
 * `trueSequential` (the default) inputs are collected anew once what makes them is quantized.
 *
 * Weights that are 0 stay 0, so that a pruned model keeps its mask; with `removalOf` a mask is chosen on the way, as SparseGPT's
 * joint form does. Where the inputs of a matrix cannot be factored with any damping, it is rounded to nearest, and its report says so.
 *
 * Source: Frantar et al. 2022, "GPTQ"; static groups and true sequential: IST-DASLab/gptq.
 */
const gptq: Quantizer = {
  needs: 'text',
  cost: GPTQ_COST,
  revisesBlock: true,
  checkScheme: (scheme) => refuseSchemes('gptq', scheme),
  async quantizeBlock(work, options, context, sink) {
    const stages = options.trueSequential === false ? [work.targets] : stagesOf(work.targets);
    for (const targets of stages) await quantizeStage(targets, work.text!, { ...context, options }, sink);
  },
};

export default gptq;

/** Linears whose inputs do not depend on one another's weights, in the order of a forward pass. */
function stagesOf(targets: readonly QuantizeTarget[]): readonly (readonly QuantizeTarget[])[] {
  const stage = (input: LinearInput) =>
    ['attention-norm', 'attention-out', 'ffn-norm', 'ffn-inner'].findIndex((name) => input.startsWith(name));
  const places = [...new Set(targets.map(({ spec }) => stage(spec.input)))].sort((a, b) => a - b);
  return places.map((place) => targets.filter(({ spec }) => stage(spec.input) === place));
}

type GptqContext = QuantizeContext & { readonly options: QuantizerOptions };

/** Quantizes matrices by the block as the stages before have left it, and puts what their codes stand for into it. */
async function quantizeStage(
  targets: readonly QuantizeTarget[],
  { block, states }: BlockText,
  context: GptqContext,
  sink: QuantizedSink,
): Promise<void> {
  const { device, signal } = context;
  const stop = signal && { signal };
  const made = new Map<LinearSpec, Float32Array>();
  for (const inputs of inputGroups(targets.map(({ spec }) => spec))) {
    const options = { device, inputs, ...stop };
    const evidence = await collectEvidence(block, states, new Set(['gram'] as const), options);
    for (const input of inputs) {
      const sharing = targets.filter(({ spec }) => spec.input === input);
      for await (const { target, values, quantized, report } of solveInput(
        sharing,
        evidence.takeGram(input),
        context,
      )) {
        made.set(target.spec, values);
        await sink.matrix(target.spec, quantized, report);
      }
    }
    evidence.dispose();
  }
  for (const [{ weight }, values] of made) {
    replaceWeight(block, weight, values, device);
    freeMemory(values);
  }
}

interface Solved {
  readonly target: QuantizeTarget;
  /** What the codes stand for. */
  readonly values: Float32Array;
  readonly quantized: QuantizedMatrix;
  readonly report: MatrixReport;
}

/** The matrices that read one input, one after the other. The Gram matrix is spent. */
async function* solveInput(
  sharing: readonly QuantizeTarget[],
  gram: Gram,
  { model, device, report, signal, options }: GptqContext,
): AsyncGenerator<Solved> {
  const name = sharing.map(({ spec }) => spec.weight).join(', ');
  const { damp, search = 'absmax', removalOf } = options;
  // Masks of N:M are of neighbouring columns, which another order would part.
  const actOrder = options.actOrder ?? sharing.every(({ spec }) => removalOf?.(spec.weight)?.group === undefined);
  refuseNotFinite(gram, name);
  const { tokens } = gram;
  const inputs = await prepareGptq(gram, { name, device, report, signal, actOrder, ...(damp && { damp }) });
  for (const target of sharing) {
    stopIfAborted(signal);
    const { spec, scheme } = target;
    const { weight, rows, columns } = spec;
    const values = await readWeight(model.checkpoint, spec);
    const grid = new MatrixGrid({ values, rows, columns }, scheme, { search, fittedBefore: actOrder });
    const counted = removalOf?.(weight) && countedRemoval(removalOf(weight)!);
    const { loss } = await sweep({ name: weight, rows, columns, values }, grid, inputs, counted?.removal);
    const removed = counted && { removed: counted.removed() / (rows * columns) };
    yield {
      target,
      values,
      quantized: grid.result(),
      report: { weight, ...howMade(inputs, tokens, loss), ...removed },
    };
  }
}

/** The same removal, and how many weights its masks have left out so far. */
function countedRemoval(removal: Removal): { readonly removal: Removal; removed(): number } {
  let removed = 0;
  const counting: Removal = {
    ...removal,
    mask(scores, firstColumn) {
      const mask = removal.mask(scores, firstColumn);
      removed += scores.rows * scores.columns - keptCount(mask);
      return mask;
    },
  };
  return { removal: counting, removed: () => removed };
}

function howMade({ isDiagonal, damp }: GptqInputs, tokens: number, loss: number): Omit<MatrixReport, 'weight'> {
  if (tokens === 0) return { algorithm: 'rtn', reason: 'no token of the calibration text reached it' };
  if (isDiagonal) return { algorithm: 'rtn', reason: 'its inputs are dependent beyond any damping' };
  return { algorithm: 'gptq', loss: loss / tokens, damp };
}

function refuseNotFinite({ values, columns }: Gram, name: string): void {
  for (let i = 0; i < columns; i += 1) {
    if (Number.isFinite(values[i * columns + i])) continue;
    throw new BirdboneError('unsupported', `The inputs of ${name} are not finite on the calibration text.`, {
      tensor: name,
      suggestions: [
        'Measure the model with birdbone evaluate: if its perplexity is not a number, the weights are damaged.',
        'Use an algorithm that needs no inputs: --algorithm rtn, or --algorithm hqq',
      ],
    });
  }
}
