import { freeMemory } from '../tensor/index.js';
import { type DampingOptions, diagonalOf, factorDamped, type Gram, keptFactor, workingCopy } from './damping.js';
import type { Reals } from './panel.js';
import { matrixProducts } from './products.js';
import { invertLower } from './triangular.js';

export interface InverseOptions extends DampingOptions {
  /** The Gram matrix is spent: it may be overwritten, or be gone. Without this a large one is copied first. */
  readonly overwrite?: boolean;
}

/** The upper triangular U with (G + dI)⁻¹ = Uᵀ U, zeros below its diagonal: what SparseGPT and GPTQ propagate errors by. */
export interface InverseFactor {
  readonly size: number;
  readonly values: Reals;
  /** What was added to the diagonal, as a fraction of its mean; 0 where nothing helped. */
  readonly damp: number;
  /** The factorization failed with every damping, and U is diagonal: each input counts by itself, as in Wanda. */
  readonly isDiagonal: boolean;
}

/**
 * The upper Cholesky factor of the damped Gram matrix's inverse. Damping makes
 * inputs that are always 0 inputs like others, which nothing is correlated with.
 *
 * U is found without the inverse: when the matrix with its rows and columns in reverse order is L Lᵀ, U is L⁻¹ in reverse
 * order. That is half the work of factoring, inverting and factoring again, and loses no digits to the inverse.
 *
 * When no damping helps, the factor of the diagonal alone is returned and `report` gets a notice. Throws as `factorDamped`.
 */
export async function inverseUpperFactor(gram: Gram, options: InverseOptions = {}): Promise<InverseFactor> {
  const { columns: size } = gram;
  const values = workingCopy(gram.values, size, options);
  if (options.overwrite === true && values !== gram.values) freeMemory(gram.values);
  values.reverse();
  const damped = await factorDamped(values, size, options);
  if (damped === undefined) return diagonalFactor(values, size, options);
  await invertLower(damped.factor, matrixProducts(options.device));
  values.reverse();
  return { size, values: keptFactor(values, size), damp: damped.fraction, isDiagonal: false };
}

/** The diagonal of (G + dI)⁻¹, [columns]: how much each input is determined by the others. Damping and throws as above. */
export async function inverseDiagonal(gram: Gram, options: InverseOptions = {}): Promise<Float64Array> {
  const { size, values } = await inverseUpperFactor(gram, options);
  const diagonal = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    for (let column = row; column < size; column += 1) diagonal[column]! += values[row * size + column]! ** 2;
  }
  return diagonal;
}

function diagonalFactor(values: Reals, size: number, { name = 'a matrix', report }: InverseOptions): InverseFactor {
  values.reverse();
  const diagonal = diagonalOf(values, size);
  values.fill(0);
  for (let i = 0; i < size; i += 1) values[i * size + i] = 1 / Math.sqrt(diagonal[i]! || 1);
  report?.({ type: 'notice', message: oneByOne(name) });
  return { size, values: keptFactor(values, size), damp: 0, isDiagonal: true };
}

function oneByOne(name: string): string {
  return `The inputs of ${name} are dependent beyond any damping: each of its weights was judged by itself, and none was corrected.`;
}
