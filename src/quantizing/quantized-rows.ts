import type { Model } from '../model/index.js';
import { DTYPES } from '../tensor/index.js';
import { bitsPerWeight, describeForm, type MatrixForm } from './forms.js';
import type { WrittenMatrix } from './layer-sink.js';

/** One matrix in the quality report: plain JSON, as the journal and the manifest keep it. */
export interface QuantizedRow {
  readonly weight: string;
  readonly rows: number;
  readonly columns: number;
  /** In words: "int4, groups of 64", "Q5_0 in place of Q4_K", "as it is". */
  readonly form: string;
  /** Bits that a weight takes, scales and zero points included. */
  readonly bits: number;
  /** What found the codes; absent for a matrix that stays. */
  readonly algorithm?: string;
  /** Why it stays, or why another algorithm than the one that was asked for was used. */
  readonly reason?: string;
  /** ‖W − Ŵ‖_F / ‖W‖_F; absent where the algorithm has moved a part of W into other tensors. */
  readonly error?: number;
  /** GPTQ: squared error of the outputs for a token of the calibration text. */
  readonly loss?: number;
  /** GPTQ: what was added to the diagonal of the Gram matrix, as a fraction of its mean. */
  readonly damp?: number;
  /** GPTQ: the part of its weights that the sweep left out. */
  readonly removed?: number;
  /** AWQ: output error over that of plain rounding. */
  readonly errorRatio?: number;
}

/** What became of every matrix, those that stay included, in model order. */
export function quantizedRows(
  forms: readonly MatrixForm[],
  written: readonly WrittenMatrix[],
  { checkpoint }: Pick<Model, 'checkpoint'>,
): QuantizedRow[] {
  const reports = new Map(written.map((report) => [report.weight, report]));
  return forms.map((matrix) => {
    const { weight, rows, columns, form } = matrix;
    const stored = checkpoint.tensors.get(weight);
    const { algorithm, reason, error, loss, damp, removed, errorRatio } = reports.get(weight) ?? {};
    const why = form.kind === 'dense' ? form.reason : reason;
    return {
      weight,
      rows,
      columns,
      form: describeForm(form),
      bits: bitsPerWeight(matrix, stored === undefined ? 0 : DTYPES[stored.dtype].bits),
      ...(algorithm !== undefined && { algorithm }),
      ...(why !== undefined && { reason: why }),
      ...(error !== undefined && { error }),
      ...(loss !== undefined && { loss }),
      ...(damp !== undefined && { damp }),
      ...(removed !== undefined && { removed }),
      ...(errorRatio !== undefined && { errorRatio }),
    };
  });
}
