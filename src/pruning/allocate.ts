import type { Allocation, AllocationRequest, BudgetMatrix, Counts, Probe } from '../allocation/index.js';
import { readFloats } from '../checkpoint/index.js';
import type { LinearSpec, Model } from '../model/index.js';
import type { FreePattern } from '../sparsity/index.js';
import { openContest } from './candidate-contest.js';
import type { EditContext } from './edit.js';
import { errorCurves } from './error-curves.js';
import { outlierShares } from './outlier-shares.js';
import { prunableLinears } from './plan-masks.js';

/** Weights that are counted at once. */
const COUNTED_WEIGHTS = 2 ** 22;

/** What a division is measured for. */
export interface AllocationRules {
  readonly pattern: FreePattern;
  readonly compare: 'row' | 'layer';
}

/**
 * How many weights of each matrix a wave removes under an allocation, by name. The counts add up to ⌊weights · target⌋ exactly, and
 * none is below what earlier waves removed.
 */
export async function allocate(
  allocation: Extract<Allocation, { kind: 'measured' }>,
  rules: AllocationRules,
  context: EditContext,
): Promise<Counts> {
  return allocation.allocate(allocationRequest(await budgetMatrices(context.model), rules, context));
}

/** What an allocation is asked for, and may ask, in a wave. */
export function allocationRequest(
  matrices: readonly BudgetMatrix[],
  rules: AllocationRules,
  context: EditContext,
): AllocationRequest {
  const { target, seed = 0, report } = context;
  const probe: Probe = {
    outlierShares: (multiple) => outlierShares(multiple, context),
    errorCurves: (levels) => errorCurves(levels, rules, context),
    openContest: () => openContest(rules.compare, context),
  };
  const onStep = (done: number, total: number) =>
    report({ type: 'progress', stage: 'evolve', done, total, unit: 'generations' });
  return { matrices, target, probe, seed, onStep };
}

async function budgetMatrices(model: Model): Promise<BudgetMatrix[]> {
  const matrices: BudgetMatrix[] = [];
  for (const { index } of model.decoder.blocks) {
    for (const spec of prunableLinears(model, index)) {
      const { weight: name, rows, columns } = spec;
      matrices.push({ name, block: index, elements: rows * columns, gone: await zerosOf(model, spec) });
    }
  }
  return matrices;
}

async function zerosOf(model: Model, spec: LinearSpec): Promise<number> {
  return (await zerosByRow(model, spec)).reduce((sum, zeros) => sum + zeros, 0);
}

/** How many weights of each row of a linear are 0. */
export async function zerosByRow({ checkpoint }: Model, spec: LinearSpec): Promise<Int32Array> {
  const { weight, rows, columns, layout } = spec;
  const isTransposed = layout === 'in-out';
  const [storedRows, width] = isTransposed ? [columns, rows] : [rows, columns];
  const step = Math.max(1, Math.floor(COUNTED_WEIGHTS / width));
  const zeros = new Int32Array(rows);
  for (let start = 0; start < storedRows; start += step) {
    const count = Math.min(step, storedRows - start);
    const values = await readFloats(checkpoint, weight, { start, count });
    for (let i = 0; i < values.length; i += 1) {
      if (values[i] === 0) zeros[isTransposed ? i % width : start + Math.floor(i / width)]! += 1;
    }
  }
  return zeros;
}
