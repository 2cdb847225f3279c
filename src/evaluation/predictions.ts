import type { TokenBatch } from '../model/index.js';

/** The scored positions of a batch: every real id but a row's last predicts the id after it. */
export interface Predictions {
  /** Position row · columns + column in the batch. */
  readonly positions: Int32Array;
  /** The id that comes next. */
  readonly targets: Int32Array;
  /** Index of the passage that it counts for. */
  readonly passages: Int32Array;
}

export function predictionsOf(batch: TokenBatch): Predictions {
  const scored = batch.lengths.reduce((sum, length) => sum + Math.max(0, length - 1), 0);
  const predictions = {
    positions: new Int32Array(scored),
    targets: new Int32Array(scored),
    passages: new Int32Array(scored),
  };
  let at = 0;
  for (let row = 0; row < batch.rows; row++) {
    for (let column = 0; column + 1 < batch.lengths[row]!; column++, at++) {
      const position = row * batch.columns + column;
      predictions.positions[at] = position;
      predictions.targets[at] = batch.ids[position + 1]!;
      predictions.passages[at] = batch.passages[row]!;
    }
  }
  return predictions;
}
