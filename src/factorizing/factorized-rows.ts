import { type Checkpoint, type MemoryValues, readFloats } from '../checkpoint/index.js';
import { type Decomposition, factorParameters, lossAt, type RankChoice } from '../lowrank/index.js';
import type { Model } from '../model/index.js';
import { DTYPES, type Dtype, decodeToF32 } from '../tensor/index.js';
import type { Factorized } from './factor-sink.js';
import type { FactorFormat, FactorizeAlgorithm } from './settings.js';

/** One matrix in the quality report (src/quality/report.ts): plain JSON, as the journal and the manifest keep it. */
export interface FactorizedRow {
  readonly weight: string;
  readonly rows: number;
  readonly columns: number;
  /** In words: "factors of rank 64", "rank 64, multiplied out", "as it is". */
  readonly form: string;
  /** Bits that a weight takes, both factors together. */
  readonly bits: number;
  /** What found the factors; absent for a matrix that stays. */
  readonly algorithm?: string;
  /** Why it stays. */
  readonly reason?: string;
  /** ‖W − Ŵ‖_F / ‖W‖_F, rounding to the stored type included. */
  readonly error?: number;
  readonly rank?: number;
  /** Numbers that the factors hold in place of rows × columns. */
  readonly parameters?: number;
  /** The part of ‖W X‖² on the calibration text (of ‖W‖² by plain SVD) that the factors lose, before rounding. */
  readonly lost?: number;
  /** No factors of this rank lose less, where the algorithm does not find the best for certain. */
  readonly leastLost?: number;
}

export interface MadeFactors {
  readonly linear: Factorized;
  readonly found: Decomposition;
  /** The weight as it is read from now on. */
  readonly written: MemoryValues;
}

/** The row of a matrix that has become factors. */
export async function factorizedRow(
  { linear, found, written }: MadeFactors,
  { checkpoint }: Pick<Model, 'checkpoint'>,
  { algorithm, format }: { readonly algorithm: FactorizeAlgorithm; readonly format: FactorFormat },
): Promise<FactorizedRow> {
  const { spec, rank, dtype } = linear;
  const { rows, columns, total, certificate } = found;
  const share = (loss: number) => (total === 0 ? 0 : loss / total);
  const parameters = factorParameters(found, rank);
  const isPair = format === 'factors';
  return {
    weight: spec.weight,
    rows,
    columns,
    form: isPair ? `factors of rank ${rank}` : `rank ${rank}, multiplied out`,
    bits: (DTYPES[dtype].bits * (isPair ? parameters : rows * columns)) / (rows * columns),
    algorithm: `${algorithm === 'whitened' ? 'whitened SVD' : 'SVD'}${found.algorithm === 'exact' ? '' : ', randomised'}`,
    error: await relativeError(checkpoint, written),
    rank,
    parameters,
    lost: share(lossAt(found, rank)),
    ...(certificate?.rank === rank && { leastLost: share(certificate.leastLoss) }),
  };
}

/** The row of a matrix that stays as it is. */
export function keptRow({ name: weight, rows, columns, reason }: RankChoice, dtype: Dtype): FactorizedRow {
  return { weight, rows, columns, form: 'as it is', bits: DTYPES[dtype].bits, ...(reason && { reason }) };
}

async function relativeError(before: Checkpoint, { info, bytes }: MemoryValues): Promise<number> {
  const [old, now] = [await readFloats(before, info.name), decodeToF32(bytes, info.dtype)];
  let [difference, size] = [0, 0];
  for (let i = 0; i < old.length; i += 1) {
    difference += (old[i]! - now[i]!) ** 2;
    size += old[i]! ** 2;
  }
  return size === 0 ? 0 : Math.sqrt(difference / size);
}
