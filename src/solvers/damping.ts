import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { type Device, freeMemory } from '../tensor/index.js';
import { type CholeskyFactor, cholesky } from './cholesky.js';
import type { Reals } from './panel.js';
import { matrixProducts } from './products.js';

/** Σ x xᵀ over the calibration tokens of one linear's input: symmetric [columns, columns]. */
export interface Gram {
  readonly values: Float32Array;
  readonly columns: number;
}

export interface DampingOptions {
  /** What is added to the diagonal first, as a fraction of its mean. */
  readonly damp?: number;
  /** Where large products are computed; on the host without. */
  readonly device?: Device;
  /** What messages call the matrix whose inputs these are. */
  readonly name?: string;
  readonly report?: Report;
}

/** The usual 1 % of the mean diagonal (Frantar & Alistarh 2023, section 4.1). */
export const DEFAULT_DAMP = 0.01;

/** From one try to the next; the last one adds the mean of the diagonal itself or more. */
const DAMP_STEP = 10;
const MOST_DAMP = 1;

/** Up to here factors are computed and kept in double precision: half a second on the host at this size, and twice the room. */
const DOUBLE_COLUMNS = 1024;

/**
 * Up to here they are computed in double precision by a device that has products of doubles, and kept in single precision:
 * matrix, copy and result are the three matrices of 4 bytes an element that a factorization is allowed (docs/solvers.md).
 */
const DEVICE_DOUBLE_COLUMNS = 4096;

/** A matrix to factor, and what was added to its diagonal. */
export interface DampedFactor {
  readonly factor: CholeskyFactor;
  /** Added to the diagonal, absolute. */
  readonly added: number;
  /** The same as a fraction of the diagonal's mean; 0 where the mean is. */
  readonly fraction: number;
}

/** What is factored is a copy in double precision where that is fast enough, otherwise the matrix itself when `overwrite`. */
export function workingCopy(
  values: Float32Array,
  size: number,
  { overwrite = false, device }: { readonly overwrite?: boolean; readonly device?: Device | undefined },
): Reals {
  const most = device?.doubles === undefined ? DOUBLE_COLUMNS : DEVICE_DOUBLE_COLUMNS;
  if (size <= most) return new Float64Array(values);
  return overwrite ? values : values.slice();
}

/** The factor as it is kept: double precision for small ones alone. What is not kept is freed. */
export function keptFactor(factor: Reals, size: number): Reals {
  if (factor instanceof Float32Array || size <= DOUBLE_COLUMNS) return factor;
  const kept = new Float32Array(factor);
  freeMemory(factor);
  return kept;
}

/**
 * Factors `values` + d·I in place, with d = `damp` × the mean diagonal, ten times as much whenever that fails, up to the mean
 * itself. Undefined when even that fails, with a notice that names the matrix; the diagonal is then the undamped one again. A
 * diagonal of zeros alone (inputs that are never anything else) is damped by 1.
 *
 * Throws `unsupported` for values that are not finite: no damping helps.
 */
export async function factorDamped(
  values: Reals,
  size: number,
  { damp = DEFAULT_DAMP, device, name = 'a matrix', report }: DampingOptions,
): Promise<DampedFactor | undefined> {
  const diagonal = diagonalOf(values, size);
  const mean = meanOf(diagonal, name);
  const products = matrixProducts(device);
  for (let fraction = damp; ; fraction *= DAMP_STEP) {
    const added = mean === 0 ? 1 : Math.min(fraction, Math.max(MOST_DAMP, damp)) * mean;
    for (let i = 0; i < size; i += 1) values[i * size + i] = diagonal[i]! + added;
    const factor = await cholesky(values, size, products);
    if (factor !== undefined) {
      if (fraction > damp) report?.({ type: 'notice', message: dampedMore(name, added / mean) });
      return { factor, added, fraction: mean === 0 ? 0 : added / mean };
    }
    mirrorUpper(values, size);
    for (let i = 0; i < size; i += 1) values[i * size + i] = diagonal[i]!;
    if (fraction >= MOST_DAMP || mean === 0) return undefined;
  }
}

/** Adds 1 % of the mean diagonal to the diagonal, in place; 1 to a diagonal of zeros alone. Throws as `factorDamped`. */
export function dampDiagonal({ values, columns }: Gram, name: string): void {
  const mean = meanOf(diagonalOf(values, columns), name);
  const added = mean === 0 ? 1 : DEFAULT_DAMP * mean;
  for (let i = 0; i < columns; i += 1) values[i * columns + i]! += added;
}

export function diagonalOf(values: Reals, size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, i) => values[i * size + i]!);
}

function meanOf(diagonal: Float64Array, name: string): number {
  let sum = 0;
  for (const value of diagonal) sum += value;
  if (Number.isFinite(sum)) return sum / diagonal.length;
  throw new BirdboneError('unsupported', `The inputs of ${name} are not finite on the calibration text.`, {
    tensor: name,
    suggestions: [
      'Measure the model with birdbone evaluate: if its perplexity is not a number, the weights are damaged.',
      'Use a metric that needs no inputs: --metric magnitude --solver none',
    ],
  });
}

function dampedMore(name: string, fraction: number): string {
  return `The inputs of ${name} are nearly dependent: ${Number((100 * fraction).toPrecision(3))} % of their mean square was added instead of 1 %.`;
}

/** Copies the upper triangle, which factoring leaves as it was, over the lower one. */
function mirrorUpper(values: Reals, size: number): void {
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < row; column += 1) values[row * size + column] = values[column * size + row]!;
  }
}
