import { multiply, plus, project, rmsNorm, rowOf, silu, times } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { rotate, rotationOf } from './rotary.js';

/**
 * Llama 1 to 3.2. Sources: transformers, models/llama/modeling_llama.py; Touvron et al. 2023; Shazeer 2020 (SwiGLU).
 */
export const llama: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-6);
  const embedding = tensorOf(model, 'model.embed_tokens.weight', 'lm_head.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `model.layers.${layer}`;
    const before = tensorOf(model, `${prefix}.input_layernorm.weight`);
    const mixed = selfAttention(
      model,
      `${prefix}.self_attn`,
      hidden.map((x) => rmsNorm(x, before, epsilon)),
    );
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const between = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
    hidden = hidden.map((x) => plus(x, gatedMlp(model, `${prefix}.mlp`, rmsNorm(x, between, epsilon))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};

/** LlamaAttention, output projection included; `window` as MistralAttention has it. */
export function selfAttention(
  model: ReferenceModel,
  prefix: string,
  inputs: Float64Array[],
  window?: number,
): Float64Array[] {
  const { config } = model;
  const heads = numberOf(config, 'num_attention_heads');
  const headDim = numberOf(config, 'head_dim', numberOf(config, 'hidden_size') / heads);
  const rotation = rotationOf(config, headDim, 10_000);
  const q = inputs.map((x, t) => rotate(project(model, `${prefix}.q_proj`, x), t, headDim, rotation));
  const k = inputs.map((x, t) => rotate(project(model, `${prefix}.k_proj`, x), t, headDim, rotation));
  const v = inputs.map((x) => project(model, `${prefix}.v_proj`, x));
  const kvHeads = numberOf(config, 'num_key_value_heads', heads);
  const mixed = attend(q, k, v, { heads, kvHeads, headDim, scale: headDim ** -0.5, window });
  return mixed.map((x) => project(model, `${prefix}.o_proj`, x));
}

/** LlamaMLP: down(silu(gate x) · up x). */
export function gatedMlp(model: ReferenceModel, prefix: string, x: Float64Array): Float64Array {
  const gate = project(model, `${prefix}.gate_proj`, x).map(silu);
  return project(model, `${prefix}.down_proj`, times(gate, project(model, `${prefix}.up_proj`, x)));
}
