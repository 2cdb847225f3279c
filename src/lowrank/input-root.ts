import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { type Gram, lowerFactor } from '../solvers/index.js';
import type { Device } from '../tensor/index.js';

/**
 * What is added to the Gram matrix's diagonal first, as a fraction of its mean: what rounding leaves of a sum over thousands of
 * tokens, so that inputs that always move together can be factored.
 */
const DAMP = 1e-6;

/** L with L Lᵀ = G + dI, lower triangular: W L has the singular values of W over inputs that are as those of G. */
export interface InputRoot {
  readonly size: number;
  /** [size, size], zeros above the diagonal. */
  readonly values: Float32Array | Float64Array;
}

interface RootOptions {
  /** Of the weight, for messages. */
  readonly name: string;
  readonly device: Device;
  readonly report?: Report | undefined;
}

/**
 * The Cholesky factor of a Gram matrix, damped as little as it takes. Where no damping helps, each input counts by itself
 * (L is diagonal), and `report` gets a notice. Throws `unsupported` for inputs that are not finite.
 */
export async function inputRoot(gram: Gram, { name, device, report }: RootOptions): Promise<InputRoot> {
  const { columns: size, values } = gram;
  for (let i = 0; i < size; i += 1) if (!Number.isFinite(values[i * size + i]!)) throw notFinite(name);
  const lower = await lowerFactor(gram, { damp: DAMP, device, name });
  if (lower !== undefined) return { size, values: lower };
  report?.({
    type: 'notice',
    message: `The inputs of ${name} are dependent beyond any damping: each of them counts by itself.`,
  });
  const diagonal = new Float32Array(size * size);
  for (let i = 0; i < size; i += 1) diagonal[i * size + i] = Math.sqrt(Math.max(0, values[i * size + i]!));
  return { size, values: diagonal };
}

function notFinite(name: string): BirdboneError {
  return new BirdboneError('unsupported', `The inputs of ${name} are not finite on the calibration text.`, {
    tensor: name,
    suggestions: [
      'Measure the model with birdbone evaluate: if its perplexity is not a number, the weights are damaged.',
      'Look at the weights alone: --algorithm svd',
    ],
  });
}
