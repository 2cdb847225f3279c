import type { Gram } from '../../evidence/index.js';
import type { SettleContext } from '../../pruning/index.js';
import { type GptqInputs, prepareGptq, gptq as sweep } from '../../solvers/index.js';
import type { Form } from '../forms.js';
import { MatrixGrid } from '../matrix-grid.js';
import { type OutputNorm, type Rows, roundTrip } from './output-errors.js';

/** An input as GPTQ looks at it, factored once for all matrices that read it; the Gram matrix itself is left as it is. */
export function gptqInputs(
  gram: Gram,
  name: string,
  { device, report, signal }: Pick<SettleContext, 'device' | 'report' | 'signal'>,
): Promise<GptqInputs> {
  return prepareGptq({ ...gram, values: gram.values.slice() }, { name, device, report, signal, actOrder: true });
}

/**
 * What GPTQ leaves of the output error of plain rounding, for these rows in that form: 0.3 where it corrects two thirds and more. 1
 * for a form that it does not round. The rows are left as they are.
 */
export async function gptqGain(
  rows: Rows,
  form: Form,
  {
    inputs,
    norm,
    search,
  }: { readonly inputs: GptqInputs; readonly norm: OutputNorm; readonly search: 'absmax' | 'mse' },
): Promise<number> {
  if (form.kind !== 'scheme' || form.scheme.bits === 16) return 1;
  const before = await norm.square(minus(rows, roundTrip(rows, form, search)));
  const matrix = { ...rows, name: 'sampled rows', values: rows.values.slice() };
  await sweep(matrix, new MatrixGrid(rows, form.scheme, { search, fittedBefore: true }), inputs);
  const after = await norm.square(minus(rows, matrix.values));
  return before === 0 ? 1 : after / before;
}

/** The rows' differences from others of as many values. */
export function minus(rows: Rows, others: Float32Array): Rows {
  return { ...rows, values: rows.values.map((value, i) => value - others[i]!) };
}
