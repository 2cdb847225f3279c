import type { Model } from '../../model/index.js';
import type { SettleContext } from '../../pruning/index.js';
import type { Choice } from '../../quantization/index.js';
import { DTYPES } from '../../tensor/index.js';
import { bitsPerWeight, type MatrixForm } from '../forms.js';
import { groupDivergences } from './group-divergences.js';
import {
  type Candidates,
  type Sensitivity,
  type SensitivityOptions,
  sensitivities,
  type TriedGroup,
} from './sensitivity.js';
import { tableDivergences, tableErrors } from './table-costs.js';

export interface CostOptions extends SensitivityOptions {
  readonly budgetBytes: number;
}

/**
 * What each form of each group of matrices takes, and what it costs. With a calibration text the cost is a KL divergence of
 * predictions: measured of each group at the form that is nearest to the budget's mean, and for its other forms in proportion to the
 * groups' relative output errors, less what GPTQ makes up for where that is the algorithm. Costs of groups add up as long as they are
 * small (Malinovskii et al. 2024, "Pushing the Limits of Large Language Model Quantization via the Linearity Theorem"). Without a text
 * nothing is known of costs, and they are 0.
 */
export async function costsOf(
  groups: readonly (readonly Candidates[])[],
  { budgetBytes, ...options }: CostOptions,
  context: SettleContext,
): Promise<Choice[][]> {
  const { model, calibration } = context;
  if (calibration.length === 0) return groups.map((members) => choicesOf(members, () => 0, model));
  const weights = groups.flat().reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0);
  const tried = groups.map((members): TriedGroup => {
    const own = members.reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0);
    return { members, place: nearest(members, (budgetBytes * own) / weights, model) };
  });
  const inside = tried.filter(({ members }) => members[0]!.matrix.block !== undefined);
  const tables = tried.filter((group) => !inside.includes(group));
  const found = new Map(await sensitivities(inside, options, context));
  for (const member of tables.flatMap(({ members }) => members)) {
    found.set(member.matrix.weight, { errors: await tableErrors(member, options, context), left: 1 });
  }
  const measured = await groupDivergences(inside, options, context);
  const divergences = new Map(inside.map((group, i) => [group, measured[i]!]));
  for (const [i, divergence] of (await tableDivergences(tables, options, context)).entries()) {
    divergences.set(tables[i]!, divergence);
  }
  return tried.map((group) => priced(group, divergences.get(group)!, { found, model }));
}

/** A group's forms, with what they cost if its errors at the tried one cost that divergence. */
function priced(
  { members, place }: TriedGroup,
  divergence: number,
  { found, model }: { readonly found: ReadonlyMap<string, Sensitivity>; readonly model: Model },
): Choice[] {
  const sum = members.reduce((total, { matrix }) => total + found.get(matrix.weight)!.errors[place]!, 0);
  const factor = sum === 0 ? 0 : divergence / sum;
  return choicesOf(members, (weight, at) => factor * found.get(weight)!.left * found.get(weight)!.errors[at]!, model);
}

/** The form whose size is nearest, among those that change anything. */
function nearest(members: readonly Candidates[], bytes: number, model: Model): number {
  const sizes = choicesOf(members, () => 0, model);
  const distances = sizes.map((size, place) =>
    members[0]!.forms[place]!.kind === 'dense' ? Number.POSITIVE_INFINITY : Math.abs(size.bytes - bytes),
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
