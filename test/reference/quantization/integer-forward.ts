import { embed, multiply, type Score } from '../forward.js';
import { LINEARS, type ReferenceModel, type Weight } from '../load.js';
import { attentionHalf, feedForwardHalf } from './halves.js';
import type { RoundedBlock } from './quantize-reference.js';
import { halfEven, type Rounded } from './rounding.js';

/**
 * A model of 8-bit weights and 8-bit activations: every linear of a block rounds each token's inputs to integers under a scale of
 * absmax / 127 (vLLM's kernel for dynamic per-token int8), multiplies integers with integers and adds them up exactly, and
 * only then multiplies with both scales. Norms, attention, embedding and head stay in float64. Shares nothing with src/.
 */

/** What `multiply` gives when the weight's rows are integers times a scale. */
export function integerMultiply(codesOf: ReadonlyMap<Weight, Rounded>): typeof multiply {
  return (x, weight) => {
    const rounded = codesOf.get(weight);
    if (rounded === undefined) return multiply(x, weight);
    const { rows, columns } = weight;
    const y = new Float64Array((x.length / columns) * rows);
    const codes = new Int32Array(columns);
    for (let token = 0; token * columns < x.length; token++) {
      const inputs = x.subarray(token * columns, (token + 1) * columns);
      const scale = inputs.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127 || 1;
      for (let j = 0; j < columns; j++) codes[j] = halfEven(inputs[j]! / scale);
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        for (let j = 0, at = row * columns; j < columns; j++) sum += codes[j]! * rounded.codes[at + j]!;
        y[token * rows + row] = sum * scale * rounded.scales[row]!;
      }
    }
    return y;
  };
}

/** Scores every id of a sequence after the first; `rounded`: of each block, its matrices with one scale a row. */
export function scoreIntegers(model: ReferenceModel, rounded: readonly RoundedBlock[], ids: Int32Array): Score {
  const codesOf = new Map<Weight, Rounded>();
  model.blocks.forEach(({ linears }, i) => {
    for (const name of LINEARS) codesOf.set(linears[name], rounded[i]![name]);
  });
  const product = integerMultiply(codesOf);
  const hidden = embed(model, ids);
  const addAll = (values: Float64Array) => {
    for (let i = 0; i < hidden.length; i++) hidden[i]! += values[i]!;
  };
  model.blocks.forEach(({ linears, attentionNorm, ffnNorm }) => {
    addAll(attentionHalf(model, linears, normed(hidden, attentionNorm, model.epsilon), product));
    addAll(feedForwardHalf(linears, normed(hidden, ffnNorm, model.epsilon), product));
  });
  return scoreLogits(multiply(normed(hidden, model.finalNorm, model.epsilon), model.head), model.head.rows, ids);
}

function normed(x: Float64Array, gain: Float64Array, epsilon: number): Float64Array {
  const width = gain.length;
  const y = new Float64Array(x.length);
  for (let from = 0; from < x.length; from += width) {
    const squares = x.subarray(from, from + width).reduce((sum, value) => sum + value * value, 0);
    for (let i = 0; i < width; i++) y[from + i] = (x[from + i]! * gain[i]!) / Math.sqrt(squares / width + epsilon);
  }
  return y;
}

function scoreLogits(logits: Float64Array, vocabulary: number, ids: Int32Array): Score {
  let [loss, correct] = [0, 0];
  for (let t = 0; t + 1 < ids.length; t++) {
    const row = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
    const best = row.reduce((at, value, id) => (value > row[at]! ? id : at), 0);
    const total = row.reduce((sum, value) => sum + Math.exp(value - row[best]!), 0);
    loss += row[best]! + Math.log(total) - row[ids[t + 1]!]!;
    if (best === ids[t + 1]) correct += 1;
  }
  return { tokens: ids.length - 1, loss, correct };
}
