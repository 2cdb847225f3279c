import { BirdboneError } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import type { LinearInput } from '../model/index.js';
import { describeScheme, quantizeMatrix } from '../quantization/index.js';
import type { BlockWork, QuantizeContext, Quantizer } from './quantizer.js';
import { amongTargets, BlockScales, vectorsOf } from './smoothing/block-scales.js';
import { normGroups, type SmoothGroup } from './smoothing/groups.js';
import { readWeight } from './stored-order.js';

/** How much of the difficulty goes from activations to weights (Xiao et al. 2023: 0.5 for most models). */
const ALPHA = 0.5;

/** The least scale, and the least weight that one is computed with (the authors' code). */
const LEAST = 1e-5;

/**
 * SmoothQuant: where activations are rounded too, a channel that is far larger than the others takes all codes of its token. Each
 * input behind a norm is divided by s_j = max |x_j|^α / max |W_j|^(1 − α), and the weights that read it are multiplied; then they
 * are rounded to nearest.
 *
 * Source: Xiao et al. 2023, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models", equation 4.
 */
const smoothquant: Quantizer = {
  needs: 'text',
  checkScheme(scheme) {
    if (scheme.activations !== undefined) return;
    throw new BirdboneError(
      'unsupported',
      `smoothquant makes activations easier to round, and under ${describeScheme(scheme)} they are not rounded.`,
      { suggestions: ['Round activations too: --scheme w8a8', 'Make weights easier to round: --algorithm awq'] },
    );
  },
  changes: ({ spec, targets }, { decoder }) => vectorsOf(amongTargets(normGroups(spec, decoder), targets)),
  async quantizeBlock(work, { alpha = ALPHA, search = 'absmax' }, context, sink) {
    const { checkpoint, decoder } = context.model;
    const groups = amongTargets(normGroups(work.spec, decoder), work.targets);
    const scales = new BlockScales(checkpoint);
    const maxima = await collectMaxima(groups, work, context);
    for (const group of groups) {
      const migrated = migration(maxima.get(group.input)!, await largestWeights(group, context), alpha);
      await scales.fold(group, migrated, sink);
    }
    for (const { spec, scheme } of work.targets) {
      const { rows, columns, weight } = spec;
      const quantized = quantizeMatrix(await scales.weight(spec), rows, columns, scheme, { search });
      await sink.matrix(spec, quantized, { weight, algorithm: 'smoothquant' });
    }
  },
};

export default smoothquant;

/** s_j; 1 for an input that was never anything but 0. */
function migration(inputs: Float32Array, weights: Float32Array, alpha: number): Float32Array {
  return inputs.map((x, j) => {
    if (x === 0) return 1;
    return Math.max(LEAST, x ** alpha / Math.max(LEAST, weights[j]!) ** (1 - alpha));
  });
}

/** max |W_ij| over all rows of all readers, [columns]. */
async function largestWeights({ readers }: SmoothGroup, { model }: QuantizeContext): Promise<Float32Array> {
  const columns = readers[0]!.columns;
  const largest = new Float32Array(columns);
  for (const spec of readers) {
    const values = await readWeight(model.checkpoint, spec);
    for (let i = 0; i < values.length; i += 1) {
      const j = i % columns;
      largest[j] = Math.max(largest[j]!, Math.abs(values[i]!));
    }
  }
  return largest;
}

async function collectMaxima(
  groups: readonly SmoothGroup[],
  { text }: BlockWork,
  { device, signal }: QuantizeContext,
): Promise<ReadonlyMap<LinearInput, Float32Array>> {
  const inputs = new Set(groups.map(({ input }) => input));
  const { block, states } = text!;
  const options = { device, inputs, ...(signal && { signal }) };
  const evidence = await collectEvidence(block, states, new Set(['abs-maxima'] as const), options);
  try {
    const found = new Map<LinearInput, Float32Array>();
    for (const input of inputs) found.set(input, (await device.read(evidence.absMaximaOf(input))) as Float32Array);
    return found;
  } finally {
    evidence.dispose();
  }
}
