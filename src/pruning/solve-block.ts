import { BirdboneError, stopIfAborted } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import type { HiddenStates, LinearSpec, LoadedBlock } from '../model/index.js';
import type { Solver, SolverContext, SolverMatrix } from '../solvers/index.js';
import type { Mask } from '../sparsity/index.js';
import { type Device, freeMemory, type Matrix, showValues } from '../tensor/index.js';
import type { BlockChanges } from './block-changes.js';
import type { EditContext } from './edit.js';
import { inputGroups } from './input-groups.js';
import type { Removals } from './plan-masks.js';

/** Solvers that need what the calibration text shows of the inputs. */
export type GramSolver = Exclude<Solver, { readonly kind: 'mask-only' }>;

export interface BlockWork {
  readonly block: LoadedBlock;
  readonly states: HiddenStates;
  readonly linears: readonly LinearSpec[];
  readonly solver: GramSolver;
  readonly removals: Removals;
  /** The masks that a metric chose, for a solver that chooses none. */
  readonly masks: ReadonlyMap<string, Mask>;
  readonly changes: BlockChanges;
}

/**
 * Solves the linears of a block, input by input: linears with the same input share its Gram matrix and what the solver makes of
 * it. The block is as it was before: what it gives the next one is the caller's business.
 */
export async function solveBlock(work: BlockWork, context: EditContext): Promise<void> {
  const { block, states, linears } = work;
  const { device, signal } = context;
  const stop = signal && { signal };
  for (const inputs of inputGroups(linears)) {
    const evidence = await collectEvidence(block, states, new Set(['gram'] as const), { device, inputs, ...stop });
    for (const input of inputs) {
      const gram = evidence.takeGram(input);
      const sharing = linears.filter((spec) => spec.input === input);
      await solveInput(work, { gram: { ...gram }, sharing }, context);
    }
    evidence.dispose();
  }
}

async function solveInput(
  { block, solver, removals, masks, changes }: BlockWork,
  { gram, sharing }: { readonly gram: SolverGram; readonly sharing: readonly LinearSpec[] },
  { model, device, report, signal }: EditContext,
): Promise<void> {
  const name = sharing.map(({ weight }) => weight).join(', ');
  const context: SolverContext = { name, device, report, ...(signal && { signal }) };
  const solve = await prepared(solver, gram, context);
  for (const spec of sharing) {
    stopIfAborted(signal);
    const { rows, columns, weight } = spec;
    const values = await readMatrix(block.linears.get(weight)!.weight, device);
    const before = values.slice();
    await solve({ name: weight, rows, columns, values }, { mask: masks.get(weight), removal: removals(weight) });
    checkSolved(values, before, weight);
    freeMemory(before);
    await changes.writeValues(spec, values, model.checkpoint.tensors.get(weight)!);
  }
}

type SolverGram = Parameters<GramSolver['prepare']>[0];

interface Choice {
  readonly mask: Mask | undefined;
  readonly removal: ReturnType<Removals>;
}

/** One way to call both kinds of solver; a matrix that this wave leaves as it is stays so. */
async function prepared(
  solver: GramSolver,
  gram: SolverGram,
  context: SolverContext,
): Promise<(matrix: SolverMatrix, choice: Choice) => Promise<void>> {
  if (solver.kind === 'refits') {
    const refit = await solver.prepare(gram, context);
    return async (matrix, { mask, removal }) => {
      if (mask !== undefined && removal !== undefined) await refit(matrix, mask);
    };
  }
  const prune = await solver.prepare(gram, context);
  return async (matrix, { removal }) => {
    if (removal !== undefined) await prune(matrix, removal);
  };
}

async function readMatrix(matrix: Matrix, device: Device): Promise<Float32Array> {
  const values = new Float32Array(matrix.rows * matrix.columns);
  let next = 0;
  for (const part of matrix.parts) {
    const start = next;
    await showValues(part, device, (found) => values.set(found, start));
    next += part.size;
  }
  return values;
}

/** Weights gone stay gone, and every number is one. The first is the solver's promise, the second the calibration's doing. */
function checkSolved(values: Float32Array, before: Float32Array, weight: string): void {
  for (let i = 0; i < values.length; i += 1) {
    if (before[i] === 0 && values[i] !== 0) throw new Error(`${weight}[${i}] was gone and came back as ${values[i]}`);
    if (Number.isFinite(values[i])) continue;
    throw new BirdboneError('unsupported', `Solving ${weight} on the calibration text gave ${values[i]}.`, {
      tensor: weight,
      suggestions: ['Calibrate on more text: --calibration-windows N', 'Keep the weights as they are: --solver none'],
    });
  }
}
