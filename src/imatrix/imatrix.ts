/** Of one tensor's inputs: Σ x² of each column over the tokens that were seen. */
export interface ImatrixEntry {
  /** Inputs of one matrix. */
  readonly columns: number;
  /** [matrices, columns]: one matrix, or one for each expert. */
  readonly sums: Float32Array;
  /** Tokens that each matrix has seen; one number for each matrix. */
  readonly counts: Float32Array;
}

/** An importance matrix: how large the inputs of a model's matrices are, column by column. */
export interface Imatrix {
  /** By name in a GGUF: `blk.0.attn_q.weight`. */
  readonly entries: ReadonlyMap<string, ImatrixEntry>;
  /** Files that it was measured on. */
  readonly datasets: readonly string[];
  /** Windows of text, and the tokens of each; 0 where the file does not say. */
  readonly chunks: number;
  readonly chunkSize: number;
}

/**
 * The mean square of each column [matrices, columns]: what `encodeRows` takes as weights. A matrix that has seen no token (an expert
 * nobody was sent to) has ones. Source: ggml-org/llama.cpp, tools/quantize/quantize.cpp (`load_imatrix`).
 */
export function columnWeights({ columns, sums, counts }: ImatrixEntry): Float32Array {
  return sums.map((sum, i) => {
    const count = counts[Math.floor(i / columns)]!;
    return count > 0 ? sum / count : 1;
  });
}

/** An entry whose numbers are usable. Throws what `broken` makes of a problem. */
export function checkedEntry(
  { sums, counts }: Pick<ImatrixEntry, 'sums' | 'counts'>,
  broken: (problem: string) => Error,
): ImatrixEntry {
  if (counts.length === 0 || sums.length === 0 || sums.length % counts.length !== 0) {
    throw broken(`has ${sums.length} sums for ${counts.length} counts`);
  }
  if (!sums.every(isCount) || !counts.every(isCount))
    throw broken('has sums or counts that are negative or not finite');
  return { columns: sums.length / counts.length, sums, counts };
}

function isCount(value: number): boolean {
  return value >= 0 && value < Infinity;
}
