import * as tf from '@tensorflow/tfjs-core';
import { causalAttention, linear, rmsNorm, rotary, swiglu } from '../../src/tensor/index.js';
import type { Architecture } from './architecture.js';

/** Values that depend on positions alone; made once for a training run. */
export interface Positions {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
  /** [t, t]: 0 where a row may look, −1e9 where not. */
  readonly mask: tf.Tensor2D;
}

/** Rotary angles θ^(−2i/d)·position, the d/2 of them twice, and the causal mask, for windows of `tokens`. */
export function positionsOf(architecture: Architecture, tokens: number): Positions {
  const width = architecture.hidden / architecture.heads;
  const angle = (i: number) => {
    const pair = (i % width) % (width / 2);
    return Math.floor(i / width) * architecture.ropeTheta ** ((-2 * pair) / width);
  };
  const table = (of: (angle: number) => number) =>
    tf.tensor2d(
      Float32Array.from({ length: tokens * width }, (_, i) => of(angle(i))),
      [tokens, width],
    );
  const mask = Float32Array.from({ length: tokens * tokens }, (_, i) =>
    i % tokens > Math.floor(i / tokens) ? -1e9 : 0,
  );
  return { cos: table(Math.cos), sin: table(Math.sin), mask: tf.tensor2d(mask, [tokens, tokens]) };
}

export type Weights = ReadonlyMap<string, tf.Tensor>;

/**
 * Logits [rows · t, vocabulary] of `rows` windows whose ids stand behind one another, differentiable by every weight. The
 * decoder of Llama (Touvron et al. 2023) out of the same operations that the library's own forward pass uses.
 */
export function logitsOf(
  weights: Weights,
  ids: tf.Tensor1D,
  positions: Positions,
  architecture: Architecture,
): tf.Tensor2D {
  const { normEpsilon, layers, vocabulary } = architecture;
  // A product with one-hot rows: the gradient of a gather needs a kernel that the WASM device lacks.
  let hidden: tf.Tensor2D = tf.matMul(oneHotRows(ids, vocabulary), get(weights, 'model.embed_tokens.weight'));
  for (let i = 0; i < layers; i += 1) {
    const block = (name: string) => `model.layers.${i}.${name}.weight`;
    const beforeAttention = rmsNorm(hidden, gain(weights, block('input_layernorm')), normEpsilon);
    hidden = tf.add<tf.Tensor2D>(hidden, attention(weights, block, beforeAttention, { positions, architecture }));
    const beforeFfn = rmsNorm(hidden, gain(weights, block('post_attention_layernorm')), normEpsilon);
    const gate = project(weights, block('mlp.gate_proj'), beforeFfn);
    const inner = swiglu(gate, project(weights, block('mlp.up_proj'), beforeFfn));
    hidden = tf.add<tf.Tensor2D>(hidden, project(weights, block('mlp.down_proj'), inner));
  }
  return project(weights, 'lm_head.weight', rmsNorm(hidden, gain(weights, 'model.norm.weight'), normEpsilon));
}

function attention(
  weights: Weights,
  block: (name: string) => string,
  input: tf.Tensor2D,
  { positions, architecture }: { positions: Positions; architecture: Architecture },
): tf.Tensor2D {
  const { heads, kvHeads, hidden } = architecture;
  const tokens = positions.mask.shape[0];
  const rows = input.shape[0] / tokens;
  const split = (role: string, count: number) =>
    tf.transpose<tf.Tensor4D>(
      tf.reshape(project(weights, block(`self_attn.${role}`), input), [rows, tokens, count, hidden / heads]),
      [0, 2, 1, 3],
    );
  const query = rotary(split('q_proj', heads), positions.cos, positions.sin);
  const key = rotary(split('k_proj', kvHeads), positions.cos, positions.sin);
  const mixed = causalAttention(query, key, split('v_proj', kvHeads), positions.mask);
  const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [rows * tokens, hidden]) as tf.Tensor2D;
  return project(weights, block('self_attn.o_proj'), joined);
}

/** Mean −ln p(target) in nats over all positions; `targets` [rows · t] are the ids one further on. */
export function lossOf(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Scalar {
  const picked = tf.mul(tf.logSoftmax(logits), oneHotRows(targets, logits.shape[1]));
  return tf.neg(tf.div(tf.sum(picked), logits.shape[0])) as tf.Scalar;
}

/** By way of int32: asked for float32, the WASM device's `oneHot` writes the integer 1's bits, 1.4e-45. */
function oneHotRows(ids: tf.Tensor1D, size: number): tf.Tensor2D {
  return tf.cast(tf.oneHot(ids, size), 'float32') as tf.Tensor2D;
}

function project(weights: Weights, name: string, input: tf.Tensor2D): tf.Tensor2D {
  const weight = get(weights, name);
  const [rows, columns] = weight.shape;
  return linear(input, { rows, columns, parts: [weight] });
}

const gain = (weights: Weights, name: string) => weights.get(name) as tf.Tensor1D;
const get = (weights: Weights, name: string) => weights.get(name) as tf.Tensor2D;
