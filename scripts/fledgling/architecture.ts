import type { Random } from './random.js';

/** The sizes of a Llama-architecture model with an output head of its own. */
export interface Architecture {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly ffn: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly context: number;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
}

/**
 * The shipped model: every matrix has rows of 256 or 512 weights, which is what block-quantised formats (super-blocks of 256),
 * N:M patterns and channel pruning need, and 1.38 million weights fit git as bf16.
 */
export const FLEDGLING: Architecture = {
  vocabulary: 384,
  hidden: 256,
  ffn: 512,
  layers: 2,
  heads: 8,
  kvHeads: 4,
  context: 256,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

/** A trained tensor by its stored name; matrices are [out, in] and start normal with this deviation, norm gains start at 1. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly [number] | readonly [number, number];
  readonly deviation: number | undefined;
}

/** Every parameter, in the order of the forward pass, under the names that Hugging Face gives them. */
export function parametersOf(architecture: Architecture): ParameterSpec[] {
  const { vocabulary, hidden, ffn, layers } = architecture;
  const kvWidth = (hidden / architecture.heads) * architecture.kvHeads;
  const matrix = (name: string, out: number, input: number, scale = 1): ParameterSpec => ({
    name: `${name}.weight`,
    shape: [out, input],
    deviation: scale / Math.sqrt(input),
  });
  const gain = (name: string): ParameterSpec => ({ name: `${name}.weight`, shape: [hidden], deviation: undefined });
  // What writes into the residual stream starts smaller the more of it there is. Source: Radford et al. 2019, section 2.3.
  const residual = 1 / Math.sqrt(2 * layers);
  const blocks = Array.from({ length: layers }, (_, i) => `model.layers.${i}`).flatMap((block) => [
    gain(`${block}.input_layernorm`),
    matrix(`${block}.self_attn.q_proj`, hidden, hidden),
    matrix(`${block}.self_attn.k_proj`, kvWidth, hidden),
    matrix(`${block}.self_attn.v_proj`, kvWidth, hidden),
    matrix(`${block}.self_attn.o_proj`, hidden, hidden, residual),
    gain(`${block}.post_attention_layernorm`),
    matrix(`${block}.mlp.gate_proj`, ffn, hidden),
    matrix(`${block}.mlp.up_proj`, ffn, hidden),
    matrix(`${block}.mlp.down_proj`, hidden, ffn, residual),
  ]);
  return [
    matrix('model.embed_tokens', vocabulary, hidden),
    ...blocks,
    gain('model.norm'),
    matrix('lm_head', vocabulary, hidden),
  ];
}

/** A parameter and its values, row by row. */
export interface Parameter extends ParameterSpec {
  readonly values: Float32Array;
}

/** Untrained parameters, drawn in the order of `parametersOf`. */
export function initialParameters(architecture: Architecture, random: Random): Parameter[] {
  return parametersOf(architecture).map((spec) => {
    const size = spec.shape.reduce((product: number, side) => product * side, 1);
    const { deviation } = spec;
    const values = Float32Array.from({ length: size }, () =>
      deviation === undefined ? 1 : deviation * random.normal(),
    );
    return { ...spec, values };
  });
}
