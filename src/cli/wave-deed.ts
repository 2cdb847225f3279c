import { counted, formatPercent } from './quantities.js';

/** A wave as far as its deed goes. */
interface DoneWave {
  readonly sparsity: number;
  readonly details?: Readonly<Record<string, readonly object[]>> | undefined;
}

/** A matrix in a wave's details: stored otherwise by an algorithm, or left. */
interface StoredMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  readonly algorithm?: string;
  readonly parameters?: number;
}

/**
 * What a wave that removes no weights did instead: "7 matrices at 4.25 bits", "12 matrices as factors, 19.8 % fewer numbers"; undefined
 * for one that goes by a sparsity.
 */
export function storedText({ details }: DoneWave): string | undefined {
  const quantized = changedOf(details?.['quantized']);
  const factorized = changedOf(details?.['factorized']);
  const parts = [
    ...(quantized.length === 0
      ? []
      : [`${counted(quantized.length, 'matrix', 'matrices')} at ${meanBits(quantized).toFixed(2)} bits`]),
    ...(factorized.length === 0
      ? []
      : [`${counted(factorized.length, 'matrix', 'matrices')} as factors, ${savedText(factorized)}`]),
  ];
  return parts.length === 0 ? undefined : parts.join('; ');
}

/** The deed of any wave: what it stored otherwise, or the sparsity that it came to. */
export function deedText(wave: DoneWave): string {
  return storedText(wave) ?? `sparsity ${formatPercent(wave.sparsity)}`;
}

function changedOf(rows: readonly object[] | undefined): StoredMatrix[] {
  return ((rows ?? []) as readonly StoredMatrix[]).filter(({ algorithm }) => algorithm !== undefined);
}

function meanBits(matrices: readonly StoredMatrix[]): number {
  const sum = matrices.reduce((bits, matrix) => bits + matrix.bits * matrix.rows * matrix.columns, 0);
  return sum / weightsOf(matrices);
}

/** Of the matrices that became factors; a product that is multiplied out again has as many numbers as before. */
function savedText(matrices: readonly StoredMatrix[]): string {
  const kept = matrices.reduce((sum, { rows, columns, parameters = rows * columns }) => sum + parameters, 0);
  return `${formatPercent(1 - kept / weightsOf(matrices))} fewer numbers`;
}

function weightsOf(matrices: readonly StoredMatrix[]): number {
  return matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}
