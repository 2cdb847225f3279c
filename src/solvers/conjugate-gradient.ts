import { stopIfAborted } from '../errors.js';
import { isKept, type Mask } from '../sparsity/index.js';
import { rowsOfPanel, wholePanel } from './panel.js';
import type { MatrixProducts } from './products.js';
import type { SolverMatrix } from './solver.js';

/** Rows that are solved together: each is a system of its own, and shares only the products. */
const STRIP_ROWS = 1024;

/** A row is solved when its residual is this much smaller than its right-hand side (squared norms). */
const SOLVED = 1e-12;

export interface RefitProblem {
  /** The damped Gram matrix [columns, columns]. */
  readonly gram: Float32Array;
  /** Outputs are to come near to those of these weights. */
  readonly wanted: Float32Array;
  readonly mask: Mask;
  readonly iterations: number;
  readonly products: MatrixProducts;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Moves the weights inside the mask, in place, towards the minimum of (W − W₀) G (W − W₀)ᵀ, row by row, by conjugate gradients
 * with the diagonal of G as preconditioner; weights outside become 0. More iterations never make a row worse, up to rounding.
 * The last step of ALPS (Meng et al. 2024, algorithm 2), which helps any mask.
 */
export async function refitOnSupport(matrix: SolverMatrix, problem: RefitProblem): Promise<void> {
  for (let start = 0; start < matrix.rows; start += STRIP_ROWS) {
    stopIfAborted(problem.signal);
    await solveStrip(matrix, problem, { start, rows: Math.min(STRIP_ROWS, matrix.rows - start) });
  }
}

/** Sums and directions of one strip, [rows, columns] each. */
interface Strip {
  readonly start: number;
  readonly rows: number;
}

async function solveStrip(matrix: SolverMatrix, problem: RefitProblem, { start, rows }: Strip): Promise<void> {
  const { columns } = matrix;
  const [first, last] = [start * columns, (start + rows) * columns];
  const solution = matrix.values.subarray(first, last);
  const keep = keptFlags(problem.mask, start, rows);
  const scale = Float64Array.from({ length: columns }, (_, j) => 1 / problem.gram[j * columns + j]!);
  const difference = new Float32Array(rows * columns);
  for (let i = 0; i < solution.length; i += 1) {
    if (keep[i] === 0) solution[i] = 0;
    difference[i] = solution[i]! - problem.wanted[first + i]!;
  }
  // (W₀ − W) G: what the outputs still lack, inside the mask.
  const residual = await timesGram(difference, rows, problem);
  restrict(residual, keep);
  const direction = new Float32Array(rows * columns);
  const energy = new Float64Array(rows);
  const wantedEnergy = new Float64Array(rows);
  for (let step = 0; step < problem.iterations; step += 1) {
    const open = turnDirections({ residual, direction, scale, energy, wantedEnergy, step });
    if (!open) return;
    const image = await timesGram(direction, rows, problem);
    restrict(image, keep);
    advanceRows({ solution, residual, direction, image, energy });
  }
}

/** −X · G. */
async function timesGram(x: Float32Array, rows: number, { gram, products }: RefitProblem): Promise<Float32Array> {
  const columns = x.length / rows;
  const product = new Float32Array(x.length);
  const whole = wholePanel(gram, columns, columns);
  await products.subtract(
    wholePanel(product, rows, columns),
    rowsOfPanel(wholePanel(x, rows, columns), 0, rows),
    whole,
  );
  return product;
}

function keptFlags(mask: Mask, start: number, rows: number): Uint8Array {
  const keep = new Uint8Array(rows * mask.columns);
  for (let row = 0, next = 0; row < rows; row += 1) {
    for (let column = 0; column < mask.columns; column += 1) keep[next++] = isKept(mask, start + row, column) ? 1 : 0;
  }
  return keep;
}

function restrict(values: Float32Array, keep: Uint8Array): void {
  for (let i = 0; i < values.length; i += 1) if (keep[i] === 0) values[i] = 0;
}

interface Directions {
  readonly residual: Float32Array;
  readonly direction: Float32Array;
  readonly scale: Float64Array;
  /** r · z of each row; 0 once it is solved. */
  readonly energy: Float64Array;
  /** Its first value. */
  readonly wantedEnergy: Float64Array;
  readonly step: number;
}

/** Each row's next direction, z + β p with z = r / diag(G). Returns whether any row is not solved yet. */
function turnDirections({ residual, direction, scale, energy, wantedEnergy, step }: Directions): boolean {
  const columns = scale.length;
  let open = false;
  for (let row = 0; row < energy.length; row += 1) {
    const start = row * columns;
    let next = 0;
    for (let j = 0; j < columns; j += 1) next += residual[start + j]! ** 2 * scale[j]!;
    if (step === 0) wantedEnergy[row] = next;
    const solved = !(next > SOLVED * wantedEnergy[row]!);
    const turn = solved || energy[row] === 0 ? 0 : next / energy[row]!;
    energy[row] = solved ? 0 : next;
    open ||= !solved;
    for (let j = start; j < start + columns; j += 1) {
      direction[j] = solved ? 0 : residual[j]! * scale[j - start]! + turn * direction[j]!;
    }
  }
  return open;
}

interface Advance {
  readonly solution: Float32Array;
  readonly residual: Float32Array;
  readonly direction: Float32Array;
  /** −(direction · G), inside the mask. */
  readonly image: Float32Array;
  readonly energy: Float64Array;
}

/** One step along each row's direction, as far as its own parabola goes down. */
function advanceRows({ solution, residual, direction, image, energy }: Advance): void {
  const columns = solution.length / energy.length;
  for (let row = 0; row < energy.length; row += 1) {
    if (energy[row] === 0) continue;
    const [start, end] = [row * columns, (row + 1) * columns];
    let curvature = 0;
    for (let i = start; i < end; i += 1) curvature -= direction[i]! * image[i]!;
    // Rounding can leave no curvature where nothing is left to gain: the row stays as it is.
    if (!(curvature > 0)) {
      residual.fill(0, start, end);
      continue;
    }
    const length = energy[row]! / curvature;
    for (let i = start; i < end; i += 1) {
      solution[i]! += length * direction[i]!;
      residual[i]! += length * image[i]!;
    }
  }
}
