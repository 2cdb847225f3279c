import type { Model } from '../../model/index.js';
import type { SettleContext } from '../../pruning/index.js';
import type { Choice } from '../../quantization/index.js';
import { DTYPES } from '../../tensor/index.js';
import { bitsPerWeight, type MatrixForm } from '../forms.js';
import { groupDivergences, type TryOptions } from './group-divergences.js';
import { type Candidates, relativeErrors } from './sensitivity.js';

export interface CostOptions extends TryOptions {
  readonly budgetBytes: number;
}

/**
 * What each form of each group of matrices takes, and what it costs. With a calibration text the cost is a KL divergence of
 * predictions: measured of each group at the form that is nearest to the budget's mean, and for its other forms in proportion to the
 * groups' relative output errors. Costs of groups add up as long as they are small (Malinovskii et al. 2024, "Pushing the Limits of
 * Large Language Model Quantization via the Linearity Theorem"). Without a text nothing is known of costs, and they are 0.
 */
export async function costsOf(
  groups: readonly (readonly Candidates[])[],
  { budgetBytes, search }: CostOptions,
  context: SettleContext,
): Promise<Choice[][]> {
  const { model, calibration } = context;
  if (calibration.length === 0) return groups.map((members) => choicesOf(members, () => 0, model));
  const errors = await relativeErrors(groups.flat(), { search }, context);
  const items = groups.map((members) => choicesOf(members, (weight, place) => errors.get(weight)![place]!, model));
  const weights = groups.flat().reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0);
  const tried = groups.map((members, group) => {
    const own = members.reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0);
    return { members, place: nearest(items[group]!, (budgetBytes * own) / weights) };
  });
  const divergences = await groupDivergences(tried, { search }, context);
  return items.map((choices, group) => {
    const measured = choices[tried[group]!.place]!.error;
    const factor = measured === 0 ? 0 : divergences[group]! / measured;
    return choices.map(({ bytes, error }) => ({ bytes, error: error * factor }));
  });
}

/** The choice whose size is nearest, among those that change anything. */
function nearest(choices: readonly Choice[], bytes: number): number {
  const distances = choices.map((choice) =>
    choice.error === 0 ? Number.POSITIVE_INFINITY : Math.abs(choice.bytes - bytes),
  );
  return distances.indexOf(Math.min(...distances));
}

/** What each form costs the members together. */
function choicesOf(
  members: readonly Candidates[],
  errorOf: (weight: string, place: number) => number,
  model: Model,
): Choice[] {
  return members[0]!.forms.map((_, place) => {
    const bytes = members.map(({ matrix, forms }) => bytesOf({ ...matrix, form: forms[place]! }, model));
    return {
      bytes: bytes.reduce((sum, size) => sum + size, 0),
      error: members.reduce((sum, { matrix }) => sum + errorOf(matrix.weight, place), 0),
    };
  });
}

/** Bytes that a matrix takes in its form, scales included. */
export function bytesOf(matrix: MatrixForm, { checkpoint }: Model): number {
  const stored = checkpoint.tensors.get(matrix.weight);
  const bits = bitsPerWeight(matrix, stored === undefined ? 0 : DTYPES[stored.dtype].bits);
  return (bits * matrix.rows * matrix.columns) / 8;
}
