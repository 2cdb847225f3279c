/**
 * How scores of one kind of plate are made comparable between blocks. `mean`: relative to the block's mean, so 1 is an average
 * plate of its block (LLM-Pruner's normalisation by the mean). `standard`: (score − mean) / standard deviation in the block
 * (FLAP). `total`: shares of the sum over all blocks, for scores that estimate one loss and are comparable as they are.
 */
export type Normalisation = 'mean' | 'standard' | 'total';

/** Scores of plates of one kind, block by block; returns as many, comparable between blocks. Where all are 0, all stay 0. */
export function normalise(blocks: readonly Float64Array[], normalisation: Normalisation): Float64Array[] {
  if (normalisation === 'total') {
    const total = blocks.reduce((sum, scores) => sum + sumOf(scores), 0);
    return blocks.map((scores) => scores.map((score) => (total === 0 ? 0 : score / total)));
  }
  return blocks.map((scores) => {
    const mean = sumOf(scores) / scores.length;
    if (normalisation === 'mean') return scores.map((score) => (mean === 0 ? 0 : score / mean));
    const deviation = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length);
    return scores.map((score) => (deviation === 0 ? 0 : (score - mean) / deviation));
  });
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
