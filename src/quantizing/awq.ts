import { stopIfAborted } from '../errors.js';
import { collectEvidence, type Gram } from '../evidence/index.js';
import type { LinearInput } from '../model/index.js';
import { inputGroups } from '../pruning/index.js';
import { quantizeMatrix } from '../quantization/index.js';
import type { SolverCost } from '../solvers/index.js';
import type {
  BlockWork,
  MatrixReport,
  QuantizeContext,
  QuantizedSink,
  Quantizer,
  QuantizerOptions,
  QuantizeTarget,
} from './quantizer.js';
import { refuseSchemes } from './refuse-schemes.js';
import { amongTargets, BlockScales, vectorsOf } from './smoothing/block-scales.js';
import { CLIP_STEPS, clipped } from './smoothing/clip.js';
import { smoothGroups } from './smoothing/groups.js';
import { SEARCH_TOKENS } from './smoothing/half-judge.js';
import { CANDIDATES } from './smoothing/scale-search.js';
import { type FoundScales, searchScales } from './smoothing/search-scales.js';

/** Columns of a group, for the estimate below. */
const TYPICAL_GROUP = 64;

/** Every candidate of the scales runs the matrix over the searched tokens; clipping multiplies with blocks of the Gram matrix. */
const AWQ_COST: SolverCost = {
  perInput: () => 0,
  perMatrix: (rows, columns) => 2 * rows * columns * (CANDIDATES * SEARCH_TOKENS + CLIP_STEPS * TYPICAL_GROUP),
};

/**
 * AWQ: inputs that are large are made small, and the weights that read them large, so that these are rounded less; how far, a
 * search decides by the output of the half of the block that the weights are in. Then each group of weights is clipped where that
 * lessens its error, but not in q and k, whose products a clipped weight changes twice (AutoAWQ). The scales are folded into
 * what makes the inputs: norm gains, the rows of v and up.
 *
 * Beside the published search the scale 1 is tried: a block is never worse, by its own measure, than without scales.
 *
 * Source: Lin et al. 2023, "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration".
 */
const awq: Quantizer = {
  needs: 'text',
  cost: AWQ_COST,
  checkScheme: (scheme) => refuseSchemes('awq', scheme),
  changes: ({ spec, targets }, { decoder }) => vectorsOf(amongTargets(smoothGroups(spec, decoder), targets)),
  async quantizeBlock(work, options, context, sink) {
    const groups = amongTargets(smoothGroups(work.spec, context.model.decoder), work.targets);
    const scales = new BlockScales(context.model.checkpoint);
    const reports = new Map<LinearInput, FoundScales>();
    // All searches look at the block as it is; then all scales are folded.
    const found = await searchScales(groups, work, options, context);
    for (const [i, group] of groups.entries()) {
      reports.set(group.input, found[i]!);
      await scales.fold(group, found[i]!.scales, sink);
    }
    await quantizeScaled(work, { scales, reports, options }, context, sink);
  },
};

export default awq;

interface Scaled {
  readonly scales: BlockScales;
  readonly reports: ReadonlyMap<LinearInput, FoundScales>;
  readonly options: QuantizerOptions;
}

async function quantizeScaled(
  { targets, text }: BlockWork,
  scaled: Scaled,
  context: QuantizeContext,
  sink: QuantizedSink,
): Promise<void> {
  const { device, signal } = context;
  const { block, states } = text!;
  for (const inputs of inputGroups(targets.map(({ spec }) => spec))) {
    const options = { device, inputs, ...(signal && { signal }) };
    const evidence = await collectEvidence(block, states, new Set(['gram'] as const), options);
    for (const input of inputs) {
      const gram = withoutScales(evidence.takeGram(input), scaled.scales.of(input));
      for (const target of targets.filter(({ spec }) => spec.input === input)) {
        stopIfAborted(signal);
        await quantizeOne(target, gram, scaled, { device, sink });
      }
    }
    evidence.dispose();
  }
}

async function quantizeOne(
  { spec, scheme }: QuantizeTarget,
  gram: Gram,
  { scales, reports, options }: Scaled,
  { device, sink }: Pick<QuantizeContext, 'device'> & { readonly sink: QuantizedSink },
): Promise<void> {
  const { rows, columns } = spec;
  const { search = 'absmax' } = options;
  const values = await scales.weight(spec);
  const isClipped = !NOT_CLIPPED.has(spec.role) && gram.tokens > 0;
  const cut = isClipped ? await clipped({ values, rows, columns }, gram, { scheme, search, device }) : values;
  await sink.matrix(spec, quantizeMatrix(cut, rows, columns, scheme, { search }), howMade(spec, reports));
}

const NOT_CLIPPED: ReadonlySet<string> = new Set(['q', 'k', 'qkv']);

function howMade({ weight, input }: QuantizeTarget['spec'], reports: Scaled['reports']): MatrixReport {
  const found = reports.get(input);
  if (found === undefined) {
    return { weight, algorithm: 'awq', reason: 'its inputs cannot be scaled: its weights were clipped alone' };
  }
  const { ratio, errorRatio } = found;
  return { weight, algorithm: 'awq', errorRatio, ...(ratio !== undefined && { ratio }) };
}

/** The Gram matrix of the inputs divided by their scales, in place. */
function withoutScales(gram: Gram, scales: Float32Array | undefined): Gram {
  if (scales === undefined) return gram;
  const { values, columns } = gram;
  for (let i = 0; i < columns; i += 1) {
    for (let j = 0; j < columns; j += 1) values[i * columns + j]! /= scales[i]! * scales[j]!;
  }
  return gram;
}
