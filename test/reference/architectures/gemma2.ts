import { divideByRms, geluTanh, multiply, plus, project, rowOf, times } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { rotate, rotationOf } from './rotary.js';

/**
 * Gemma 2: embeddings times √hidden, norms before and after each half of a block with the gain 1 + w, every other block through
 * a window, tanh caps on scores and logits, scores scaled by query_pre_attn_scalar. Sources: transformers,
 * models/gemma2/{configuration,modeling}_gemma2.py; Gemma Team 2024 (arXiv 2408.00118).
 */
export const gemma2: ReferenceForward = (model, ids) => {
  const { config } = model;
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  const norm = (name: string) => gemmaNorm(model, `model.${name}.weight`);
  const root = Math.sqrt(numberOf(config, 'hidden_size'));
  let hidden: Float64Array[] = Array.from(ids, (id) => rowOf(embedding, id).map((value) => value * root));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `layers.${layer}`;
    const mixed = attention(model, layer, hidden.map(norm(`${prefix}.input_layernorm`)));
    const afterAttention = norm(`${prefix}.post_attention_layernorm`);
    hidden = hidden.map((x, t) => plus(x, afterAttention(mixed[t]!)));
    const [beforeFfn, afterFfn] = [
      norm(`${prefix}.pre_feedforward_layernorm`),
      norm(`${prefix}.post_feedforward_layernorm`),
    ];
    hidden = hidden.map((x) => plus(x, afterFfn(gemmaMlp(model, `model.${prefix}.mlp`, beforeFfn(x)))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = norm('norm');
  // transformers takes an explicit null as "no cap" and an absent key as 30.
  const cap = config['final_logit_softcapping'] === null ? undefined : numberOf(config, 'final_logit_softcapping', 30);
  return hidden.map((x) => {
    const logits = multiply(head, last(x));
    return cap === undefined ? logits : logits.map((value) => cap * Math.tanh(value / cap));
  });
};

function attention(model: ReferenceModel, layer: number, inputs: Float64Array[]): Float64Array[] {
  const { config } = model;
  const prefix = `model.layers.${layer}.self_attn`;
  const headDim = numberOf(config, 'head_dim', 256);
  const rotation = rotationOf(config, headDim, 10_000);
  const types = config['layer_types'] as string[] | null | undefined;
  const slides = types == null ? layer % 2 === 0 : types[layer] === 'sliding_attention';
  const mixed = attend(
    inputs.map((x, t) => rotate(project(model, `${prefix}.q_proj`, x), t, headDim, rotation)),
    inputs.map((x, t) => rotate(project(model, `${prefix}.k_proj`, x), t, headDim, rotation)),
    inputs.map((x) => project(model, `${prefix}.v_proj`, x)),
    {
      heads: numberOf(config, 'num_attention_heads'),
      kvHeads: numberOf(config, 'num_key_value_heads', 4),
      headDim,
      scale: numberOf(config, 'query_pre_attn_scalar', 256) ** -0.5,
      window: slides ? numberOf(config, 'sliding_window', 4096) : undefined,
      softcap: config['attn_logit_softcapping'] === null ? undefined : numberOf(config, 'attn_logit_softcapping', 50),
    },
  );
  return mixed.map((x) => project(model, `${prefix}.o_proj`, x));
}

/** Gemma's RMSNorm: the stored weight is what the gain is above one. */
export function gemmaNorm(model: ReferenceModel, name: string): (x: Float64Array) => Float64Array {
  const weight = tensorOf(model, name);
  const epsilon = numberOf(model.config, 'rms_norm_eps', 1e-6);
  return (x) => divideByRms(x, epsilon).map((value, i) => value * (1 + weight.values[i]!));
}

/** down(gelu_tanh(gate x) · up x). */
export function gemmaMlp(model: ReferenceModel, prefix: string, x: Float64Array): Float64Array {
  const gate = project(model, `${prefix}.gate_proj`, x).map(geluTanh);
  return project(model, `${prefix}.down_proj`, times(gate, project(model, `${prefix}.up_proj`, x)));
}
