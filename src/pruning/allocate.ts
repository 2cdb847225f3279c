import type { Allocation, BudgetMatrix, Counts, Probe } from '../allocation/index.js';
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

/**
 * How many weights of each matrix a wave removes under an allocation, by name; undefined where all lose the same fraction. The
 * counts add up to ⌊weights · target⌋ exactly, and none is below what earlier waves removed.
 */
export async function allocate(
  allocation: Allocation,
  rules: { readonly pattern: FreePattern; readonly compare: 'row' | 'layer' },
  context: EditContext,
): Promise<Counts | undefined> {
  if (allocation.kind === 'even') return undefined;
  const { model, target, seed = 0, report } = context;
  const probe: Probe = {
    outlierShares: (multiple) => outlierShares(multiple, context),
    errorCurves: (levels) => errorCurves(levels, rules, context),
    openContest: () => openContest(rules.compare, context),
  };
  const onStep = (done: number, total: number) =>
    report({ type: 'progress', stage: 'evolve', done, total, unit: 'generations' });
  return allocation.allocate({ matrices: await budgetMatrices(model), target, probe, seed, onStep });
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

async function zerosOf({ checkpoint }: Model, { weight, rows, columns, layout }: LinearSpec): Promise<number> {
  const [storedRows, width] = layout === 'in-out' ? [columns, rows] : [rows, columns];
  const step = Math.max(1, Math.floor(COUNTED_WEIGHTS / width));
  let zeros = 0;
  for (let start = 0; start < storedRows; start += step) {
    const values = await readFloats(checkpoint, weight, { start, count: Math.min(step, storedRows - start) });
    for (const value of values) if (value === 0) zeros += 1;
  }
  return zeros;
}
