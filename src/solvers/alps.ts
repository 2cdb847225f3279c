import { BirdboneError, stopIfAborted } from '../errors.js';
import { keptCount, type Mask, maskFrom } from '../sparsity/index.js';
import type { Device } from '../tensor/index.js';
import { refitOnSupport } from './conjugate-gradient.js';
import { dampDiagonal, diagonalOf, type Gram } from './damping.js';
import { symmetricEigen } from './eigen.js';
import { wholePanel } from './panel.js';
import { type MatrixProducts, matrixProducts } from './products.js';
import type { Removal, Solver, SolverMatrix } from './solver.js';

/** The eigendecomposition takes about 9 · columns³ operations on one core: minutes for each input of this width. */
const MOST_COLUMNS = 4096;

/** Constants of the published implementation (Meng et al. 2024, section 3.2 and appendix). */
const FIRST_PENALTY = 0.1;
const MOST_ITERATIONS = 300;
/** About when the support stands still: 30 to 42 in the first block of tinystories-656k. */
const USUAL_ITERATIONS = 40;
const ITERATIONS_PER_UPDATE = 3;
/** Share of the kept weights that changed places since the last update → what the penalty is multiplied by. */
const PENALTY_STEPS = [
  { above: 0.1, factor: 1.3 },
  { above: 0.005, factor: 1.2 },
] as const;
const LAST_PENALTY_STEP = 1.1;
/** A penalty that is too strong from the start freezes the first support: it is tried again with a weaker one. */
const PENALTY_RESTART = 5;
const MOST_RESTARTS = 3;
const REFIT_ITERATIONS = 10;

/** The eigendecomposition of the Gram matrix, scaled to ones on its diagonal, which the linears of one input share. */
interface Spectrum {
  readonly columns: number;
  /** Damped and scaled: D⁻¹ (G + dI) D⁻¹. */
  readonly gram: Float32Array;
  /** The scale D: root of the damped diagonal. */
  readonly scale: Float64Array;
  readonly values: Float64Array;
  /** Row i is eigenvector i. */
  readonly vectors: Float32Array;
  readonly products: MatrixProducts;
  readonly signal: AbortSignal | undefined;
}

/**
 * ALPS: alternates between the best weights without a mask and the best mask for them, held together by a penalty that grows
 * until the mask stands still (ADMM); then conjugate gradients on that mask.
 *
 * Source: Meng et al. 2024, "ALPS: Improved Optimization for Highly Sparse One-Shot Pruning for Large Language Models".
 */
const alps: Solver = {
  kind: 'prunes',
  cost: {
    perInput: (columns) => 9 * columns ** 3,
    perMatrix: (rows, columns) => (4 * USUAL_ITERATIONS + 2 * REFIT_ITERATIONS) * rows * columns ** 2,
  },
  checkColumns,
  async prepare(gram, { device, name, signal }) {
    checkColumns(name, gram.columns);
    const spectrum = spectrumOf(gram, name, device);
    const shared = { ...spectrum, products: matrixProducts(device), signal };
    return (matrix, removal) => pruneByAlps(matrix, removal, shared);
  },
};

export default alps;

function spectrumOf(gram: Gram, name: string, device: Device): Omit<Spectrum, 'products' | 'signal'> {
  const { values, columns } = gram;
  dampDiagonal(gram, name);
  const scale = diagonalOf(values, columns).map(Math.sqrt);
  for (let i = 0; i < columns; i += 1) {
    for (let j = 0; j < columns; j += 1) values[i * columns + j]! /= scale[i]! * scale[j]!;
  }
  const eigen = symmetricEigen(values, columns, device);
  return { columns, gram: values, scale, values: eigen.values, vectors: new Float32Array(eigen.vectors) };
}

async function pruneByAlps(matrix: SolverMatrix, removal: Removal, spectrum: Spectrum): Promise<void> {
  const present = maskFrom(matrix.values, matrix.rows, matrix.columns);
  scaleColumns(matrix.values, spectrum.scale);
  const wanted = matrix.values.slice();
  const choose = (values: Float32Array) => support(values, { matrix, removal, present });
  const { mask, masked } = await findSupport(wanted, choose, spectrum);
  matrix.values.set(masked);
  await refitOnSupport(matrix, { ...spectrum, wanted, mask, iterations: REFIT_ITERATIONS });
  scaleColumns(
    matrix.values,
    spectrum.scale.map((value) => 1 / value),
  );
}

/** The mask of the weights that the pattern keeps by size, without those that were gone before. */
function support(
  values: Float32Array,
  { matrix, removal, present }: { readonly matrix: SolverMatrix; readonly removal: Removal; readonly present: Mask },
): Mask {
  const { name, rows, columns } = matrix;
  const scores = values.map((value, i) => (isPresent(present, i) ? Math.abs(value) : 0));
  const { bits } = removal.mask({ name, rows, columns, values: scores });
  return { rows, columns, bits: bits.map((byte, i) => byte & present.bits[i]!) };
}

function isPresent({ bits }: Mask, i: number): boolean {
  return ((bits[i >>> 3]! >>> (i & 7)) & 1) === 1;
}

type ChooseSupport = (values: Float32Array) => Mask;

interface Support {
  readonly mask: Mask;
  /** The weights inside the mask, 0 outside. */
  readonly masked: Float32Array;
  /** Whether the support is another than that of the largest weights. */
  readonly moved: boolean;
}

/** ADMM with a growing penalty ρ, until the support stands still; at once again with a weaker one when it never moved. */
async function findSupport(wanted: Float32Array, choose: ChooseSupport, spectrum: Spectrum): Promise<Support> {
  let penalty = FIRST_PENALTY;
  for (let restarts = 0; ; restarts += 1) {
    const found = await alternate(wanted, choose, { spectrum, penalty });
    if (found.moved || restarts === MOST_RESTARTS) return found;
    penalty /= PENALTY_RESTART;
  }
}

async function alternate(
  wanted: Float32Array,
  choose: ChooseSupport,
  { spectrum, penalty: first }: { readonly spectrum: Spectrum; readonly penalty: number },
): Promise<Support> {
  const goal = await timesGram(wanted, spectrum);
  const multipliers = new Float32Array(wanted.length);
  let mask = choose(wanted);
  let masked = restricted(wanted, mask);
  let before = mask;
  let penalty = first;
  let moved = false;
  for (let iteration = 1; iteration <= MOST_ITERATIONS; iteration += 1) {
    stopIfAborted(spectrum.signal);
    const sides = goal.map((value, i) => value - multipliers[i]! + penalty * masked[i]!);
    const free = await solveShifted(sides, penalty, spectrum);
    const together = free.map((value, i) => value + multipliers[i]! / penalty);
    mask = choose(together);
    masked = restricted(together, mask);
    for (let i = 0; i < multipliers.length; i += 1) multipliers[i]! += penalty * (free[i]! - masked[i]!);
    if (iteration % ITERATIONS_PER_UPDATE !== 0) continue;
    const changed = differing(mask, before);
    if (changed === 0) return { mask, masked, moved };
    moved = true;
    before = mask;
    const share = changed / keptCount(mask);
    penalty *= PENALTY_STEPS.find(({ above }) => share > above)?.factor ?? LAST_PENALTY_STEP;
  }
  return { mask, masked, moved };
}

/** B G of the scaled Gram matrix. */
async function timesGram(b: Float32Array, { gram, columns, products }: Spectrum): Promise<Float32Array> {
  const product = new Float32Array(b.length);
  const rows = b.length / columns;
  await products.subtract(
    wholePanel(product, rows, columns),
    wholePanel(b, rows, columns),
    wholePanel(gram, columns, columns),
  );
  return product.map((value) => -value);
}

/** B (G + ρI)⁻¹ by the eigenvectors: two products, whatever the penalty. */
async function solveShifted(b: Float32Array, penalty: number, spectrum: Spectrum): Promise<Float32Array> {
  const { columns, values, vectors, products } = spectrum;
  const rows = b.length / columns;
  const basis = wholePanel(vectors, columns, columns);
  const inBasis = new Float32Array(b.length);
  await products.subtract(wholePanel(inBasis, rows, columns), wholePanel(b, rows, columns), basis, {
    transposeRight: true,
  });
  for (let i = 0; i < inBasis.length; i += 1) inBasis[i]! /= values[i % columns]! + penalty;
  const solved = new Float32Array(b.length);
  // Two subtractions from zero: the signs cancel.
  await products.subtract(wholePanel(solved, rows, columns), wholePanel(inBasis, rows, columns), basis);
  return solved;
}

function restricted(values: Float32Array, mask: Mask): Float32Array {
  return values.map((value, i) => (isPresent(mask, i) ? value : 0));
}

function differing(a: Mask, b: Mask): number {
  const bits = a.bits.map((byte, i) => byte ^ b.bits[i]!);
  return keptCount({ ...a, bits });
}

function scaleColumns(values: Float32Array, scale: Float64Array): void {
  for (let i = 0; i < values.length; i += 1) values[i]! *= scale[i % scale.length]!;
}

function checkColumns(name: string, columns: number): void {
  if (columns <= MOST_COLUMNS) return;
  throw new BirdboneError(
    'unsupported',
    `ALPS decomposes the inputs of ${name} into eigenvectors, and ${columns} of them would take hours; it is allowed up to ${MOST_COLUMNS}.`,
    { tensor: name, suggestions: ['Take the solver that needs no eigenvectors: --solver sparsegpt-refit'] },
  );
}
