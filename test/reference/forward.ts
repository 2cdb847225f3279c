import type { Block, ReferenceModel, Weight } from './load.js';

/** The four inputs of a block's linears, [tokens, width] each: what Wanda's norms are taken of. */
export interface LinearInputs {
  readonly attention: Float64Array;
  readonly output: Float64Array;
  readonly ffn: Float64Array;
  readonly down: Float64Array;
}

/** X [tokens, in] · Wᵀ → [tokens, out] in f64; 2 × 4 dot products at a time keep their sums in registers. */
export function multiply(x: Float64Array, weight: Weight): Float64Array {
  const { rows: outs, columns: width, values: w } = weight;
  const tokens = x.length / width;
  const y = new Float64Array(tokens * outs);
  const evenTokens = tokens - (tokens % 2);
  const evenOuts = outs - (outs % 4);
  for (let out = 0; out < evenOuts; out += 4) {
    for (let token = 0; token < evenTokens; token += 2) tile(x, w, y, { out, token, outs, width });
  }
  for (let token = 0; token < tokens; token++) {
    const from = token < evenTokens ? evenOuts : 0;
    for (let out = from; out < outs; out++) y[token * outs + out] = dot(x, token * width, w, out * width, width);
  }
  return y;
}

interface Tile {
  readonly out: number;
  readonly token: number;
  readonly outs: number;
  readonly width: number;
}

function tile(x: Float64Array, w: Float64Array, y: Float64Array, { out, token, outs, width }: Tile): void {
  const w0 = out * width;
  const w1 = w0 + width;
  const w2 = w1 + width;
  const w3 = w2 + width;
  const x0 = token * width;
  const x1 = x0 + width;
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let k = 0; k < width; k++) {
    const a = x[x0 + k]!;
    const b = x[x1 + k]!;
    let value = w[w0 + k]!;
    a0 += a * value;
    b0 += b * value;
    value = w[w1 + k]!;
    a1 += a * value;
    b1 += b * value;
    value = w[w2 + k]!;
    a2 += a * value;
    b2 += b * value;
    value = w[w3 + k]!;
    a3 += a * value;
    b3 += b * value;
  }
  const y0 = token * outs + out;
  y[y0] = a0;
  y[y0 + 1] = a1;
  y[y0 + 2] = a2;
  y[y0 + 3] = a3;
  const y1 = y0 + outs;
  y[y1] = b0;
  y[y1 + 1] = b1;
  y[y1 + 2] = b2;
  y[y1 + 3] = b3;
}

function dot(x: Float64Array, xStart: number, w: Float64Array, wStart: number, width: number): number {
  let sum = 0;
  for (let k = 0; k < width; k++) sum += x[xStart + k]! * w[wStart + k]!;
  return sum;
}

/** Rows of x divided by their root mean square, times the gain. */
function rmsNorm(x: Float64Array, gain: Float64Array, epsilon: number): Float64Array {
  const width = gain.length;
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[start + i]! ** 2;
    const scale = 1 / Math.sqrt(squares / width + epsilon);
    for (let i = 0; i < width; i++) y[start + i] = x[start + i]! * scale * gain[i]!;
  }
  return y;
}

/** Rotates pairs (i, i + d/2) of every head by position · θ^(−2i/d), in place: x [tokens, heads · d]. */
function rotate(x: Float64Array, heads: number, { headDim, ropeTheta }: ReferenceModel): void {
  const half = headDim / 2;
  const tokens = x.length / (heads * headDim);
  for (let position = 0; position < tokens; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * ropeTheta ** ((-2 * i) / headDim);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let head = 0; head < heads; head++) {
        const at = (position * heads + head) * headDim + i;
        const first = x[at]!;
        const second = x[at + half]!;
        x[at] = first * cos - second * sin;
        x[at + half] = second * cos + first * sin;
      }
    }
  }
}

/** softmax(q kᵀ / √d) v over each token's past, heads in groups that share keys and values → [tokens, heads · d]. */
function attend(q: Float64Array, k: Float64Array, v: Float64Array, model: ReferenceModel): Float64Array {
  const { heads, kvHeads, headDim } = model;
  const tokens = q.length / (heads * headDim);
  const mixed = new Float64Array(q.length);
  const weights = new Float64Array(tokens);
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads));
    for (let token = 0; token < tokens; token++) {
      const at = (token * heads + head) * headDim;
      let largest = Number.NEGATIVE_INFINITY;
      for (let past = 0; past <= token; past++) {
        const score = dot(q, at, k, (past * kvHeads + kvHead) * headDim, headDim) / Math.sqrt(headDim);
        weights[past] = score;
        if (score > largest) largest = score;
      }
      let total = 0;
      for (let past = 0; past <= token; past++) {
        const weight = Math.exp(weights[past]! - largest);
        weights[past] = weight;
        total += weight;
      }
      for (let past = 0; past <= token; past++) {
        const share = weights[past]! / total;
        const from = (past * kvHeads + kvHead) * headDim;
        for (let i = 0; i < headDim; i++) mixed[at + i]! += share * v[from + i]!;
      }
    }
  }
  return mixed;
}

/** One decoder block over one sequence, in place: hidden [tokens, hidden]. Returns the inputs its linears saw. */
export function runBlock(model: ReferenceModel, block: Block, hidden: Float64Array): LinearInputs {
  const { linears } = block;
  const attention = rmsNorm(hidden, block.attentionNorm, model.epsilon);
  const q = multiply(attention, linears.q);
  const k = multiply(attention, linears.k);
  rotate(q, model.heads, model);
  rotate(k, model.kvHeads, model);
  const output = attend(q, k, multiply(attention, linears.v), model);
  addTo(hidden, multiply(output, linears.o));

  const ffn = rmsNorm(hidden, block.ffnNorm, model.epsilon);
  const down = multiply(ffn, linears.up);
  const gate = multiply(ffn, linears.gate);
  for (let i = 0; i < down.length; i++) down[i]! *= gate[i]! / (1 + Math.exp(-gate[i]!));
  addTo(hidden, multiply(down, linears.down));
  return { attention, output, ffn, down };
}

function addTo(x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < x.length; i++) x[i]! += y[i]!;
}

/** Rows of the embedding table for these ids, [tokens, hidden]. */
export function embed(model: ReferenceModel, ids: Int32Array): Float64Array {
  const { columns, values } = model.embedding;
  const hidden = new Float64Array(ids.length * columns);
  for (const [i, id] of ids.entries()) hidden.set(values.subarray(id * columns, (id + 1) * columns), i * columns);
  return hidden;
}

/** Logits [tokens, vocabulary] of one sequence. */
export function logitsOf(model: ReferenceModel, ids: Int32Array): Float64Array {
  const hidden = embed(model, ids);
  for (const block of model.blocks) runBlock(model, block, hidden);
  return multiply(rmsNorm(hidden, model.finalNorm, model.epsilon), model.head);
}

export interface Score {
  readonly tokens: number;
  /** Σ −ln p of every id after the first. */
  readonly loss: number;
  readonly correct: number;
}

/** Scores every id after the first. */
export function score(model: ReferenceModel, ids: Int32Array): Score {
  const logits = logitsOf(model, ids);
  const vocabulary = model.head.rows;
  let loss = 0;
  let correct = 0;
  for (let i = 0; i + 1 < ids.length; i++) {
    const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
    let best = 0;
    for (let id = 1; id < vocabulary; id++) if (row[id]! > row[best]!) best = id;
    let total = 0;
    for (let id = 0; id < vocabulary; id++) total += Math.exp(row[id]! - row[best]!);
    loss += row[best]! + Math.log(total) - row[ids[i + 1]!]!;
    if (best === ids[i + 1]) correct += 1;
  }
  return { tokens: ids.length - 1, loss, correct };
}
