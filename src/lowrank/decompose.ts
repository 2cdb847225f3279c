import { BirdboneError } from '../errors.js';
import type { Device } from '../tensor/index.js';
import type { DecomposeOptions, Decomposition, WeightRows } from './decomposition.js';
import type { Directions } from './directions.js';
import { exactDirections } from './exact.js';
import { type Factors, largestUsefulRank } from './factors.js';
import { type InputRoot, inputRoot } from './input-root.js';
import { squaredNorm } from './products.js';
import { randomisedDirections } from './randomised.js';
import { weightOperator } from './weight-operator.js';

/** Up to this smaller side a matrix is decomposed exactly: in some seconds on one core (docs/lowrank.md). */
const EXACT_SIDE = 512;

/**
 * Decomposes a weight: exactly where its smaller side is at most `EXACT_SIDE`, otherwise by the randomised algorithm. With a Gram
 * matrix of its inputs the least of W X is lost, without one the least of W (Eckart & Young).
 *
 * Factors of rank r are U_r · (U_rᵀ W), U_r the first r left singular vectors of W L with L Lᵀ = X Xᵀ. That is the matrix that
 * SVD-LLM computes as (U_r Σ_r V_rᵀ) L⁻¹, without an inverse that inputs which are almost dependent would spoil.
 *
 * Source: Wang et al. 2024, "SVD-LLM: Truncation-aware Singular Value Decomposition for Large Language Model Compression".
 * Throws `unsupported` for inputs that are not finite.
 */
export async function decompose(weight: WeightRows, options: DecomposeOptions): Promise<Decomposition> {
  const { name, rows, columns } = weight;
  const { device, gram, report } = options;
  const root = gram && (await inputRoot(gram, { name, device, report }));
  const directions = await directionsOf(weight, root, options);
  if (!Number.isFinite(directions.total)) throw notFinite(name);
  return {
    name,
    rows,
    columns,
    energies: directions.energies,
    total: directions.total,
    algorithm: directions.algorithm,
    ...(directions.certificate && { certificate: directions.certificate }),
    factors: (rank) => factorsOf(weight, directions, rank, device),
  };
}

async function directionsOf(
  weight: WeightRows,
  root: InputRoot | undefined,
  { device, maxRank, seed = 0, signal }: DecomposeOptions,
): Promise<Directions> {
  const { rows, columns } = weight;
  if (Math.min(rows, columns) <= EXACT_SIDE) {
    return exactDirections(await weight.read(0, rows), weight, root, device);
  }
  const rank = Math.max(1, Math.min(maxRank ?? largestUsefulRank(weight), rows, columns));
  return randomisedDirections(weightOperator(weight, { root, device, signal }), { device, seed, rank });
}

function notFinite(name: string): BirdboneError {
  return new BirdboneError('unsupported', `${name} holds values that are not finite, or too large to be squared.`, {
    tensor: name,
    suggestions: ['Find them: birdbone inspect MODEL --tensors'],
  });
}

async function factorsOf(
  weight: WeightRows,
  { energies, take }: Directions,
  rank: number,
  device: Device,
): Promise<Factors> {
  if (!Number.isInteger(rank) || rank < 1 || rank > energies.length) {
    throw new RangeError(`${weight.name}: factors of rank ${rank}, of ${energies.length} directions that were found.`);
  }
  const { rows, columns } = weight;
  const directions = await take(rank);
  const right = await weightOperator(weight, { device }).backward(directions, rank);
  return { rows, columns, rank, ...balanced({ directions, right, rank, rows, columns }) };
}

interface Pair {
  readonly directions: Float32Array;
  readonly right: Float32Array;
  readonly rank: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * The two factors with column i of the left as long as row i of the right: neither leaves the range of half precision where the
 * other does not, and training moves both alike.
 */
function balanced({ directions, right, rank, rows, columns }: Pair): Pick<Factors, 'left' | 'right'> {
  const left = new Float32Array(rows * rank);
  for (let i = 0; i < rank; i += 1) {
    const row = right.subarray(i * columns, (i + 1) * columns);
    const scale = squaredNorm(row) ** 0.25;
    if (scale === 0) continue;
    for (let k = 0; k < columns; k += 1) row[k]! /= scale;
    for (let k = 0; k < rows; k += 1) left[k * rank + i] = directions[i * rows + k]! * scale;
  }
  return { left, right };
}
